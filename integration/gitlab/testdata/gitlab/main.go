// GitLab, as far as a test of images needs it: the fake forge with real git
// behind it, and the command that makes a token.
package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitserver"
)

func main() {
	run := serve
	if filepath.Base(os.Args[0]) == "gitlab-rails" {
		run = command
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// command is "gitlab-rails runner SCRIPT", where the script sets a token.
func command() error {
	if len(os.Args) == 3 && os.Args[1] == "runner" {
		if found := regexp.MustCompile(`set_token\('([^']+)'\)`).FindStringSubmatch(os.Args[2]); found != nil {
			return os.WriteFile("/tmp/token", []byte(found[1]), 0o600)
		}
	}
	return fmt.Errorf("not known: %q", os.Args)
}

// serve refuses everybody until a token is made.
func serve() error {
	if err := os.MkdirAll("/tmp/git", 0o755); err != nil {
		return err
	}
	store, err := gitserver.New("/tmp/git", true)
	if err != nil {
		return err
	}
	var once sync.Once
	var forge http.Handler
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := os.ReadFile("/tmp/token")
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		once.Do(func() {
			forge = gitlabfake.New(gitlabfake.Options{Token: string(raw), ExternalURL: "http://wrong.invalid", Git: store})
		})
		forge.ServeHTTP(w, r)
	})
	server := &http.Server{Addr: ":80", Handler: handler, ReadHeaderTimeout: time.Minute}
	return server.ListenAndServe()
}
