// Package engine gives tests a container engine of their own, with images made
// on the spot from our own programs and what Debian has installed: nothing is
// pulled. So the code that starts servers from images runs for real wherever
// Debian's docker.io is and root may use it.
//
// It is for tests alone, and touches no engine that was there before.
package engine

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

const startTimeout = time.Minute

// Start starts an engine in a directory of the test and gives its address. It
// ends with the test. Where there is none, or the machine does not let it run,
// the test is skipped with the reason; LORRY_TEST_REQUIRE=all makes a missing
// one a failure, and docker one that can't run.
func Start(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"dockerd", "iptables"} {
		if _, err := exec.LookPath(program); err != nil {
			tool.Missing(t, program+" is not installed", "all", "docker")
		}
	}
	if os.Geteuid() != 0 {
		tool.Missing(t, "only root can run a container engine", "docker")
	}
	dir, err := os.MkdirTemp("", "lorry-engine") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	in := func(name string) string { return filepath.Join(dir, name) }
	address := "unix://" + in("s")
	log := &bytes.Buffer{}
	daemon := exec.Command("dockerd", "-H", address, "--data-root", in("root"), "--exec-root", in("exec"), "--pidfile", in("pid"))
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		tool.Missing(t, fmt.Sprintf("dockerd can't be started: %v", err), "docker")
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = daemon.Wait()
	}()
	t.Cleanup(func() {
		_ = daemon.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(startTimeout):
			_ = daemon.Process.Kill()
			<-ended
		}
	})
	await(t, address, ended, log)
	return address
}

// await waits until the engine answers.
func await(t *testing.T, address string, ended chan struct{}, log fmt.Stringer) {
	t.Helper()
	pool, err := dockertest.NewPool(address)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(startTimeout); pool.Client.Ping() != nil; {
		select {
		case <-ended:
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			tool.Missing(t, "dockerd does not run here: "+lines[len(lines)-1], "docker")
		case <-tick.C:
			if time.Now().After(deadline) {
				tool.Missing(t, "dockerd does not answer", "docker")
			}
		}
	}
}

// Build makes an image of files of this machine, by their paths in the image.
// The libraries of programs come along. The first command runs when a container
// starts.
func Build(t *testing.T, address, name string, files map[string]string, command ...string) {
	t.Helper()
	all := map[string]string{}
	for to, from := range files {
		all[to] = from
		for _, library := range libraries(from) {
			all[library] = library
		}
	}
	var context bytes.Buffer
	w := tar.NewWriter(&context)
	dockerfile := fmt.Sprintf("FROM scratch\nCOPY tree /\nENTRYPOINT [%q]\n", strings.Join(command, `", "`))
	dockerfile = strings.ReplaceAll(dockerfile, `\"`, `"`)
	err := add(w, "Dockerfile", 0o644, []byte(dockerfile))
	err = errors.Join(err, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tree/tmp/", Mode: 0o1777}))
	for to, from := range all {
		raw, readErr := os.ReadFile(from)
		err = errors.Join(err, readErr, add(w, "tree"+to, 0o755, raw))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	pool, err := dockertest.NewPool(address)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := pool.Client.BuildImage(docker.BuildImageOptions{Name: name, InputStream: &context, OutputStream: &out}); err != nil {
		t.Fatalf("making the image %s: %v\n%s", name, err, &out)
	}
}

func add(w *tar.Writer, name string, mode int64, content []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// libraries are the shared ones that a program needs, with its loader.
func libraries(program string) []string {
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		return nil // a static program, or a script
	}
	var list []string
	for field := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(field, "/") {
			list = append(list, field)
		}
	}
	return list
}

// Git are the files that git needs to serve repositories, with a shell for
// hooks.
func Git(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(string(out))
	files := map[string]string{dir + "/git": dir + "/git", dir + "/git-http-backend": dir + "/git-http-backend"}
	for to, program := range map[string]string{"/bin/git": "git", "/bin/sh": "sh", "/bin/tr": "tr"} {
		if files[to], err = exec.LookPath(program); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// Program builds a program of this module without libraries.
func Program(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-o", file, dir)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", dir, err, out)
	}
	return file
}
