// Command hostile is an adapter that does what no adapter should. The setting
// "mode" chooses what; faults before the settings are known come from a file
// MODE beside the program.
package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk"
)

type settings struct {
	Mode  string     `setting:"mode" doc:"What to do wrong."`
	Dir   string     `setting:"dir" doc:"Where to leave notes."`
	Token sdk.Secret `setting:"token" doc:"A secret."`
}

type adapter struct {
	settings
	env sdk.Env
}

func main() {
	mode := ""
	if exe, err := os.Executable(); err == nil {
		raw, _ := os.ReadFile(filepath.Join(filepath.Dir(exe), "MODE"))
		mode = strings.TrimSpace(string(raw))
	}
	name := "hostile"
	switch mode {
	case "exit-at-start":
		fmt.Fprintln(os.Stderr, "no licence found")
		os.Exit(3)
	case "hang-at-start":
		select {}
	case "stdout":
		fmt.Println("hello, I am an adapter")
	case "long-stdout":
		fmt.Println(strings.Repeat("x", 1<<20))
	case "version":
		fmt.Printf("1|99|unix|%s/s|grpc|\n", os.Getenv("PLUGIN_UNIX_SOCKET_DIR"))
		select {}
	case "address":
		fmt.Println("1|1|tcp|192.0.2.1:1|grpc|")
		select {}
	case "silent":
		fmt.Printf("1|1|unix|%s/s|grpc|\n", os.Getenv("PLUGIN_UNIX_SOCKET_DIR"))
		select {}
	case "cookie":
		_ = os.Unsetenv("LORRY_ADAPTER_COOKIE")
	case "netrpc":
		fmt.Printf("1|1|unix|%s/s|netrpc|\n", os.Getenv("PLUGIN_UNIX_SOCKET_DIR"))
		select {}
	case "name":
		name = "somebody"
	case "local":
		name = "local"
	case "upstream-only":
		sdk.Main(sdk.Define(name, openLister, sdk.WithVersion("1.0")))
	}
	sdk.Main(sdk.Define(name, open, sdk.WithVersion("1.0")))
}

func open(_ context.Context, env sdk.Env, s settings) (*adapter, error) {
	a := &adapter{s, env}
	switch s.Mode {
	case "environment":
		return a, os.WriteFile(filepath.Join(s.Dir, "environment"), []byte(strings.Join(os.Environ(), "\n")), 0o600)
	case "crash-in-configure":
		os.Exit(4)
	case "tell":
		env.Log.Warn("open knows "+s.Token.Reveal(), "token", s.Token.Reveal())
	case "refuse":
		return nil, sdk.WithHint(sdk.Errorf(sdk.Invalid, "no good: %s", s.Token.Reveal()), "look at "+s.Token.Reveal())
	case "panic-in-configure":
		panic("open: " + s.Token.Reveal())
	case "panic-elsewhere-with-secret":
		go func() { panic("a goroutine: " + s.Token.Reveal()) }()
		select {}
	case "leak":
		env.Log.Error("the token is "+s.Token.Reveal(), "token", s.Token.Reveal(), "printed", s.Token)
		fmt.Fprintln(os.Stderr, "on stderr:", s.Token.Reveal())
	}
	return a, nil
}

// lister has the methods of sdk.Upstream alone.
type lister struct{ sdk.Upstream }

func openLister(ctx context.Context, env sdk.Env, s settings) (lister, error) {
	a, err := open(ctx, env, s)
	return lister{a}, err
}

// refuse gives an error of a kind, and leaves a note that it was asked.
func (a *adapter) refuse(kind sdk.Kind) error {
	f, err := os.OpenFile(filepath.Join(a.Dir, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return sdk.RetryAfter(sdk.WithHint(sdk.Errorf(kind, "it says %s", kind), "do something"), 30*time.Minute)
}

// Ensure implements sdk.Downstream.
func (a *adapter) Ensure(_ context.Context, want sdk.Want) (sdk.Have, error) {
	have := sdk.Have{Access: sdk.Access{URL: "https://git.example.com/" + want.Path + ".git"}}
	if a.Mode == "tell" {
		have.ReadOnlyReason, have.Unsupported = "because of "+a.Token.Reveal(), []string{a.Token.Reveal()}
	}
	return have, nil
}

// Retire implements sdk.Retirer.
func (a *adapter) Retire(_ context.Context, path string) error {
	return os.WriteFile(filepath.Join(a.Dir, "retired"), []byte(path), 0o600)
}

// Check implements sdk.Checker.
func (a *adapter) Check(context.Context) (sdk.Report, error) {
	if !strings.HasPrefix(a.Mode, "tell") {
		return sdk.Report{ServerVersion: "hostile 1"}, nil
	}
	secret := a.Token.Reveal()
	return sdk.Report{ServerVersion: "1 " + secret, Diagnostics: []sdk.Diagnostic{
		{Severity: sdk.SeverityError, Summary: "the token is " + secret, Detail: "really " + secret},
	}}, nil
}

func (a *adapter) Repos(ctx context.Context, _ sdk.Query) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) {
		repo := func(i int) sdk.Repo {
			return sdk.Repo{Path: fmt.Sprintf("group/repo%d", i), CloneURL: fmt.Sprintf("https://git.example.com/group/repo%d.git", i)}
		}
		switch a.Mode {
		case "endless":
			for i := 0; yield(repo(i), nil); i++ {
			}
			return
		case "standstill":
			for i := range 150 {
				if !yield(repo(i), nil) {
					return
				}
			}
			select {}
		case "half-way":
			for i := range 250 {
				if !yield(repo(i), nil) {
					return
				}
			}
			os.Exit(5)
		case "incomplete":
			if yield(repo(1), nil) {
				yield(sdk.Repo{}, sdk.Incomplete("the host gave up at page 2"))
			}
			return
		case "twice":
			_ = yield(repo(1), nil) && yield(repo(1), nil)
			return
		case "bad-path":
			yield(sdk.Repo{Path: "../../etc", CloneURL: "https://git.example.com/x.git"}, nil)
			return
		case "bad-url":
			yield(sdk.Repo{Path: "a", CloneURL: "ext::sh -c id"}, nil)
			return
		case "bad-utf8":
			yield(sdk.Repo{Path: "a\xff", CloneURL: "https://git.example.com/x.git"}, nil)
			return
		}
		count := 3
		if n, ok := strings.CutPrefix(a.Mode, "many:"); ok {
			count, _ = strconv.Atoi(n)
		}
		for i := range count {
			if !yield(repo(i), nil) {
				return
			}
		}
	}
}

func (a *adapter) Repo(ctx context.Context, path string) (sdk.Repo, sdk.Access, error) {
	url := "https://git.example.com/" + path + ".git"
	repo, access := sdk.Repo{Path: path, CloneURL: url}, sdk.Access{URL: url}
	if kind, ok := strings.CutPrefix(a.Mode, "kind:"); ok {
		return repo, access, a.refuse(sdk.Kind(kind))
	}
	switch a.Mode {
	case "panic":
		panic("this should not have happened: " + a.Token.Reveal())
	case "panic-elsewhere":
		go func() { panic("in a goroutine") }()
		select {}
	case "exit":
		os.Exit(7)
	case "exit-once":
		note := filepath.Join(a.Dir, "exited")
		if _, err := os.Stat(note); err != nil {
			_ = os.WriteFile(note, nil, 0o600)
			os.Exit(7)
		}
	case "hang":
		select {}
	case "stop":
		// The whole process stands still, its health service too.
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			_ = p.Signal(stopSignal)
		}
		select {}
	case "bad-json":
		_, _ = fmt.Fprintln(realStderr(), `{"@message": 1, "@level": {}, "@timestamp": [], "k": {"a": [1]}}`)
	case "long-line":
		_, _ = fmt.Fprintln(realStderr(), strings.Repeat("y", 1<<20))
	case "flood":
		line := strings.Repeat("z", 1000) + "\n"
		for range 100_000 { // 100 MB
			_, _ = realStderr().WriteString(line)
		}
	case "large":
		repo.Description = "large"
		access.KnownHosts = strings.Repeat("k", 20<<20)
	case "bad-error":
		return repo, access, sdk.WithHint(sdk.RetryAfter(sdk.Errorf(sdk.RateLimited, "wait \xff\x01\n%s", a.Token.Reveal()), time.Minute), "h\xffint")
	case "tell":
		repo.Description, access.Username = "see "+a.Token.Reveal(), "user"
	case "tell-url":
		access.URL = "https://git.example.com/" + a.Token.Reveal() + "/x.git"
	case "tell-path":
		repo.ID = a.Token.Reveal()
	case "other":
		repo.Path = "something/else"
	case "credential":
		access.URL = "https://user:password@git.example.com/x.git"
	case "grandchild", "runaway":
		cmd := exec.Command("/bin/sh", "-c", "trap '' TERM; echo $$ > "+filepath.Join(a.Dir, "pid")+"; exec sleep 600")
		cmd.Stdout, cmd.Stderr = realStdout(), realStderr()
		if a.Mode == "runaway" { // out of the group and the session, without a parent
			cmd.Args[2] = "setsid sh -c '" + strings.ReplaceAll(cmd.Args[2], "''", `""`) + "' &"
		}
		if err := cmd.Start(); err != nil {
			return repo, access, err
		}
		for {
			if raw, err := os.ReadFile(filepath.Join(a.Dir, "pid")); err == nil && strings.HasSuffix(string(raw), "\n") {
				break
			}
			time.Sleep(time.Millisecond)
		}
		os.Exit(8)
	}
	return repo, access, ctx.Err()
}
