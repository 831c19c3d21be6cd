package realforge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"
)

// Container runs an image in the engine at an address ("" is the machine's
// own), changed by change. It ends with the test. Without an engine, or where
// the image can't be pulled, there is an error.
func Container(t *testing.T, engine, image string, options dockertest.RunOptions, change func(*docker.HostConfig)) (*dockertest.Resource, error) {
	t.Helper()
	pool, err := dockertest.NewPool(engine)
	if err == nil {
		err = pool.Client.Ping() // a pool is made without an engine too
	}
	if err != nil {
		return nil, fmt.Errorf("there is no container engine: %w", err)
	}
	options.Repository, options.Tag = docker.ParseRepositoryTag(image)
	container, err := pool.RunWithOptions(&options, func(c *docker.HostConfig) { c.AutoRemove = true }, change)
	if err != nil {
		return nil, fmt.Errorf("the image %s can't be run: %w", image, err)
	}
	t.Cleanup(func() {
		if err := pool.Purge(container); err != nil {
			t.Errorf("removing the container of %s: %v", image, err)
		}
	})
	return container, nil
}

// Client makes a client that keeps no connection.
func Client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
}

// Await waits until a path below the server's address is answered with a
// status, asking at every tick for as long as limit.
func (s Server) Await(ctx context.Context, path string, status int, every, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
		if err != nil {
			return err
		}
		resp, err := Client().Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == status {
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
