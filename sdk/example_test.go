package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// settings are read off the tags of a struct.
type settings struct {
	URL   *url.URL      `setting:"url" doc:"Address of the forge." required:"true"`
	Scope string        `setting:"scope" doc:"What to list." default:"all" oneof:"all,public"`
	Pause time.Duration `setting:"pause" doc:"Pause between pages." default:"1s"`
	Token sdk.Secret    `setting:"token" doc:"Token with the right to read."`
}

// Validate has the rules across fields.
func (s *settings) Validate() []sdk.Diagnostic {
	if s.Scope == "all" && s.Token.Empty() {
		return []sdk.Diagnostic{{Severity: sdk.SeverityError, Path: "token", Summary: "scope all needs a token"}}
	}
	return nil
}

// forge has the methods of sdk.Upstream, which makes it an Upstream Host.
type forge struct {
	settings
	env sdk.Env
}

func (f *forge) Repos(context.Context, sdk.Query) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) {
		for _, path := range []string{"group/one", "group/two"} {
			if !yield(sdk.Repo{Path: path, CloneURL: f.URL.JoinPath(path + ".git").String()}, nil) {
				return
			}
		}
	}
}

func (f *forge) Repo(_ context.Context, path string) (sdk.Repo, sdk.Access, error) {
	return sdk.Repo{}, sdk.Access{}, sdk.Errorf(sdk.NotFound, "there is no repository %q", path)
}

func open(_ context.Context, env sdk.Env, s settings) (*forge, error) { return &forge{s, env}, nil }

func ExampleDefine() {
	plugin := sdk.Define("example", open,
		sdk.WithVersion("1.0.0"), sdk.WithSummary("An example."), sdk.WithMaxConcurrency(4))
	fmt.Println(plugin.Name(), plugin.Problems())
	// Output: example []
}

func ExampleMain() {
	// The whole main function of an adapter:
	_ = func() { sdk.Main(sdk.Define("example", open)) }
}

func ExamplePlugin_Problems() {
	type wrong struct {
		Ratio float64 `setting:"ratio" doc:"A ratio."`
	}
	plugin := sdk.Define("example", func(context.Context, sdk.Env, wrong) (*forge, error) { return nil, nil })
	fmt.Println(plugin.Problems()[0])
	// Output: setting "ratio": the type float64 is not one of string, bool, int, time.Duration, *url.URL, []string, sdk.Secret
}

func ExampleErrorf() {
	err := sdk.Errorf(sdk.NotFound, "there is no repository %q", "a/b")
	fmt.Println(sdk.KindOf(err), err)
	// Output: not-found there is no repository "a/b"
}

func ExampleRetryAfter() {
	err := sdk.RetryAfter(sdk.Errorf(sdk.RateLimited, "the forge asks for a pause"), time.Minute)
	var e *sdk.Error
	fmt.Println(errors.As(err, &e), e.RetryAfter)
	// Output: true 1m0s
}

func ExampleWithHint() {
	err := sdk.WithHint(sdk.Errorf(sdk.Unauthenticated, "the token is refused"), "make a new one")
	var e *sdk.Error
	fmt.Println(errors.As(err, &e), e.Hint)
	// Output: true make a new one
}

func ExampleIncomplete() {
	listing := func(yield func(sdk.Repo, error) bool) {
		if yield(sdk.Repo{Path: "a"}, nil) {
			yield(sdk.Repo{}, sdk.Incomplete("the second page is missing"))
		}
	}
	for repo, err := range listing {
		fmt.Println(repo.Path, err)
	}
	// Output:
	// a <nil>
	//  listing is not complete: the second page is missing
}

func ExampleSecret() {
	token := sdk.NewSecret("hush")
	fmt.Printf("%v %s %q %d %t\n", token, token, token, len(token.Reveal()), token.Empty())
	// Output: [secret] [secret] [secret] 4 false
}

func ExampleHTTPError() {
	resp := &http.Response{
		StatusCode: http.StatusForbidden,
		Request:    &http.Request{URL: &url.URL{Scheme: "https", Host: "git.example.com"}},
	}
	err := sdk.HTTPError(resp, `repository "a/b"`)
	fmt.Println(sdk.KindOf(err), err)
	// Output: denied repository "a/b": git.example.com answers HTTP 403
}

func ExampleServe() {
	// The protocol without a process, as the conformance suite uses it.
	log := hclog.NewNullLogger()
	server := grpc.NewServer(sdk.ServerOptions(log)...)
	sdk.Serve(sdk.Define("example", open), server, log)
	fmt.Println(len(server.GetServiceInfo()))
	// Output: 2
}

func ExampleEnv_Client() {
	open := func(env sdk.Env) error {
		_, err := env.Client(sdk.HTTPOptions{CAFile: "/nonexistent/ca.pem"})
		return err
	}
	fmt.Println(sdk.KindOf(open(sdk.Env{})))
	// Output: invalid
}

// named is a Downstream Host that has no upper case and no name "admin".
type named struct{ sdk.Downstream }

func (named) CheckPath(path string) (normal string, err error) {
	if strings.HasPrefix(path, "admin/") {
		return "", sdk.WithHint(sdk.Errorf(sdk.Invalid, "%q is a reserved name", "admin"), "choose another prefix")
	}
	return strings.ToLower(path), nil
}

func ExamplePathChecker() {
	for _, path := range []string{"Group/One", "admin/one"} {
		fmt.Println(named{}.CheckPath(path))
	}
	// Output:
	// group/one <nil>
	//  "admin" is a reserved name
}
