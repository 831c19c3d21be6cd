package httpforge

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "CANARY+/token=0123456789"

// forge serves f and gives a client for it.
func forge(t *testing.T, f http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(f)
	base, err := url.Parse(server.URL + "/api/v4")
	if err != nil {
		t.Fatal(err)
	}
	c := New(Options{Base: base, HTTP: &http.Client{Transport: &http.Transport{}}, Scheme: "Bearer", Token: sdk.NewSecret(canary)})
	t.Cleanup(func() {
		_ = c.Close()
		server.Close()
	})
	return c
}
