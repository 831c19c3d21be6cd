package pgtest

import (
	"fmt"
	"net"
	"net/url"
	"os"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"
)

// startDocker starts a container of the image in LORRY_TEST_POSTGRES_IMAGE, or
// of postgres:17-alpine. The engine is asked first: making a pool succeeds
// without one.
func startDocker(durable bool) (*server, error) {
	pool, err := dockertest.NewPool("")
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	if err := pool.Client.Ping(); err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	image := os.Getenv("LORRY_TEST_POSTGRES_IMAGE")
	if image == "" {
		image = "postgres:17-alpine"
	}
	repository, tag := docker.ParseRepositoryTag(image)
	container, err := pool.RunWithOptions(&dockertest.RunOptions{
		Repository: repository, Tag: tag,
		Env: []string{"POSTGRES_HOST_AUTH_METHOD=trust"},
		Cmd: []string{"postgres", "-c", "fsync=" + onOff(durable), "-c", "max_connections=400"},
	}, func(c *docker.HostConfig) { c.AutoRemove = true })
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	srv := &server{
		url: &url.URL{
			Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: "sslmode=disable",
			Host: net.JoinHostPort(container.GetBoundIP("5432/tcp"), container.GetPort("5432/tcp")),
		},
		stop: func() error { return pool.Purge(container) },
	}
	if err := srv.wait(startTimeout); err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	return srv, nil
}
