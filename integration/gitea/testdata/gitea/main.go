// Gitea, as far as a test of images needs it: the fake forge with real git
// behind it, and the command that makes an admin.
package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitserver"
)

func main() {
	run := serve
	if filepath.Base(os.Args[0]) == "su-exec" {
		run = command
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// command is "su-exec git gitea admin user create --username NAME --password …".
func command() error {
	if len(os.Args) < 6 || strings.Join(os.Args[1:6], " ") != "git gitea admin user create" {
		return fmt.Errorf("not known: %q", os.Args)
	}
	value := func(name string) string {
		if i := slices.Index(os.Args, name); i > 0 && i+1 < len(os.Args) {
			return os.Args[i+1]
		}
		return ""
	}
	return os.WriteFile("/tmp/admin", []byte(value("--username")+"\n"+value("--password")), 0o600)
}

// serve serves an empty Gitea until an admin is made, then one of that admin.
func serve() error {
	if err := os.MkdirAll("/tmp/git", 0o755); err != nil {
		return err
	}
	store, err := gitserver.New("/tmp/git", false)
	if err != nil {
		return err
	}
	forge := giteafake.New(giteafake.Options{Token: "of-nobody"})
	var mu sync.Mutex
	made := false
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if raw, err := os.ReadFile("/tmp/admin"); err == nil && !made {
			name, password, _ := strings.Cut(string(raw), "\n")
			forge = giteafake.New(giteafake.Options{Login: name, Password: password, Token: "token-of-" + name, ExternalURL: os.Getenv("GITEA__server__ROOT_URL"), Git: store})
			made = true
		}
		now := forge
		mu.Unlock()
		now.ServeHTTP(w, r)
	})
	server := &http.Server{Addr: ":3000", Handler: handler, ReadHeaderTimeout: time.Minute}
	return server.ListenAndServe()
}
