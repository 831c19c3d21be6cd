package gitlab

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"

	"github.com/lorry-controller/lorry-controller/integration/realforge"
)

// startTimeout is long: a GitLab of one container takes minutes to set itself up.
const startTimeout = 15 * time.Minute

// Given gives the server that is there already, if one is named.
func Given() (realforge.Server, bool) {
	s := realforge.Server{
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
func StartImage(t *testing.T, engine, image string) realforge.Server {
	t.Helper()
	container, err := realforge.Container(t, engine, image, dockertest.RunOptions{
		ExposedPorts: []string{"80/tcp"},
		Env:          []string{"GITLAB_OMNIBUS_CONFIG=external_url 'http://wrong.invalid'; prometheus_monitoring['enable'] = false; puma['worker_processes'] = 0"},
	}, func(c *docker.HostConfig) { c.ShmSize = 256 << 20 })
	if err != nil {
		t.Fatalf("an image is named, but %v", err)
	}
	s := realforge.Server{
		Name: image, URL: "http://" + net.JoinHostPort(container.GetBoundIP("80/tcp"), container.GetPort("80/tcp")),
		Token: fmt.Sprintf("glpat-%020d", time.Now().UnixNano()),
	}
	// Without a token, the API says 401.
	if err := s.Await(t.Context(), "/api/v4/version", http.StatusUnauthorized, time.Second, startTimeout); err != nil {
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
