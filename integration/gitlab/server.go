package gitlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"
)

// startTimeout is long: a GitLab of one container takes minutes to set itself up.
const startTimeout = 15 * time.Minute

// Server is a running GitLab.
type Server struct {
	Name, URL, Token string
	// Parent is a group below which everything is made, with a trailing slash,
	// or "".
	Parent string
}

// Given gives the server that is there already, if one is named.
func Given() (Server, bool) {
	s := Server{
		Name: "given", URL: strings.TrimRight(os.Getenv("LORRY_TEST_GITLAB_URL"), "/"),
		Token: os.Getenv("LORRY_TEST_GITLAB_TOKEN"),
	}
	if group := os.Getenv("LORRY_TEST_GITLAB_GROUP"); group != "" {
		s.Parent = group + "/"
	}
	return s, s.URL != ""
}

// Images are those that are tried: one takes gigabytes, so only those that are
// named.
func Images() []string {
	return strings.FieldsFunc(os.Getenv("LORRY_TEST_GITLAB_IMAGES"), func(r rune) bool { return r == ',' || r == ' ' })
}

// StartImage starts a server from an image such as gitlab/gitlab-ce:18.5.0-ce.0,
// in the engine at an address ("" is the machine's own); it ends with the test.
func StartImage(t *testing.T, engine, image string) Server {
	t.Helper()
	pool, err := dockertest.NewPool(engine)
	if err == nil {
		err = pool.Client.Ping() // a pool is made without an engine too
	}
	if err != nil {
		t.Fatalf("an image is named, but there is no container engine: %v", err)
	}
	repository, tag := docker.ParseRepositoryTag(image)
	container, err := pool.RunWithOptions(&dockertest.RunOptions{
		Repository: repository, Tag: tag, ExposedPorts: []string{"80/tcp"},
		Env: []string{"GITLAB_OMNIBUS_CONFIG=external_url 'http://wrong.invalid'; prometheus_monitoring['enable'] = false; puma['worker_processes'] = 0"},
	}, func(c *docker.HostConfig) {
		c.AutoRemove = true
		c.ShmSize = 256 << 20
	})
	if err != nil {
		t.Fatalf("running %s: %v", image, err)
	}
	t.Cleanup(func() {
		if err := pool.Purge(container); err != nil {
			t.Errorf("removing the container of %s: %v", image, err)
		}
	})
	s := Server{
		Name: image, URL: "http://" + net.JoinHostPort(container.GetBoundIP("80/tcp"), container.GetPort("80/tcp")),
		Token: fmt.Sprintf("glpat-%020d", time.Now().UnixNano()),
	}
	if err := s.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("t = User.find_by_username('root').personal_access_tokens.create!(scopes: ['api'], name: 'test', expires_at: 30.days.from_now); t.set_token('%s'); t.save!", s.Token)
	var out bytes.Buffer
	code, err := container.Exec([]string{"gitlab-rails", "runner", script}, dockertest.ExecOptions{StdOut: &out, StdErr: &out})
	if err != nil || code != 0 {
		t.Fatalf("making a token in %s: exit code %d, %v: %s", image, code, err, &out)
	}
	return s
}

// wait waits until the server answers: without a token, the API says 401.
func (s *Server) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v4/version", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusUnauthorized {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", s.Name, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}
