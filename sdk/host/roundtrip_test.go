package host_test

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/session"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// echo is an adapter that gives back what it was told to.
type echo struct {
	repo   sdk.Repo
	access sdk.Access
	have   sdk.Have
	count  int
	mu     sync.Mutex
	wants  []sdk.Want
	report sdk.Report
	asked  []string
	err    error
}

func (e *echo) Repos(context.Context, sdk.Query) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) {
		for i := range e.count {
			r := e.repo
			r.Path = "r" + strconv.Itoa(i)
			if !yield(r, nil) {
				return
			}
		}
		if e.err != nil {
			yield(sdk.Repo{}, e.err)
		}
	}
}

func (e *echo) Repo(context.Context, string) (sdk.Repo, sdk.Access, error) {
	return e.repo, e.access, e.err
}

func (e *echo) Ensure(_ context.Context, want sdk.Want) (sdk.Have, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wants = append(e.wants, want)
	return e.have, e.err
}

func (e *echo) Check(context.Context) (sdk.Report, error) { return e.report, e.err }

// CheckPath has the rules of a host that does not tell upper case from lower.
func (e *echo) CheckPath(path string) (string, error) {
	e.asked = append(e.asked, path)
	if strings.HasPrefix(path, "bad") {
		return "", sdk.WithHint(sdk.Errorf(sdk.Invalid, "%q is a reserved name", path), "rename it")
	}
	return strings.ToLower(path), e.err
}

type noSettings struct{}

// serve serves an adapter in this process and configures it.
func serve(t testing.TB, e *echo) *host.Client {
	t.Helper()
	p := sdk.Define("echo", func(context.Context, sdk.Env, noSettings) (*echo, error) { return e, nil }, sdk.WithVersion("1"))
	s, err := session.Open(t.Context(), p, host.Settings{Instance: "echo"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.End(); err != nil {
			t.Error(err)
		}
	})
	return s.Client
}

// fill sets every field of a struct to something that is not its zero value.
func fill(t *testing.T, target any) {
	t.Helper()
	v := reflect.ValueOf(target).Elem()
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		switch f.Interface().(type) {
		case string:
			f.SetString(name)
		case bool:
			f.SetBool(true)
		case sdk.Visibility:
			f.Set(reflect.ValueOf(sdk.VisibilityInternal))
		case sdk.Secret:
			f.Set(reflect.ValueOf(sdk.NewSecret(name)))
		case time.Time:
			f.Set(reflect.ValueOf(time.Date(2026, 5, 4, 3, 2, 1, 5000, time.UTC)))
		case []string:
			f.Set(reflect.ValueOf([]string{name, "second"}))
		case []sdk.Diagnostic:
			f.Set(reflect.ValueOf([]sdk.Diagnostic{{Severity: sdk.SeverityWarning, Path: "a", Summary: "b", Detail: "c"}}))
		case sdk.Access:
			fill(t, f.Addr().Interface())
		default:
			t.Fatalf("the test does not know how to fill %s %s", name, f.Type())
		}
	}
}

// compareSecrets lets cmp look into secrets.
func compareSecrets() cmp.Option {
	return cmp.Comparer(func(a, b sdk.Secret) bool { return a.Reveal() == b.Reveal() })
}

func TestNoFieldIsLostOnTheWire(t *testing.T) {
	t.Parallel()
	e := &echo{count: 1}
	fill(t, &e.repo)
	fill(t, &e.access)
	fill(t, &e.have)
	c := serve(t, e)
	repo, access, err := c.Repo(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e.repo, repo); diff != "" {
		t.Errorf("repository (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(e.access, access, compareSecrets()); diff != "" {
		t.Errorf("access (-want +got):\n%s", diff)
	}
	var want sdk.Want
	fill(t, &want)
	have, err := c.Ensure(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e.have, have, compareSecrets()); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]sdk.Want{want}, e.wants); diff != "" {
		t.Errorf("wish (-want +got):\n%s", diff)
	}
	fill(t, &e.report)
	report, err := c.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e.report, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestZeroValuesCrossTheWire(t *testing.T) {
	t.Parallel()
	e := &echo{}
	c := serve(t, e)
	repo, access, err := c.Repo(t.Context(), "x")
	if err != nil || !reflect.DeepEqual(repo, sdk.Repo{}) || !reflect.DeepEqual(access, sdk.Access{}) {
		t.Errorf("got %+v, %+v, %v", repo, access, err)
	}
	if have, err := c.Ensure(t.Context(), sdk.Want{}); err != nil || !reflect.DeepEqual(have, sdk.Have{}) || !reflect.DeepEqual(e.wants, []sdk.Want{{}}) {
		t.Errorf("got %+v, %v; it was told %+v", have, err, e.wants)
	}
}

func TestListingsOfEverySizeAreComplete(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 99, 100, 101, 10_000} {
		count := 0
		for _, err := range serve(t, &echo{count: n}).Repos(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			count++
		}
		if count != n {
			t.Errorf("want %d, got %d", n, count)
		}
	}
}

func TestErrorEndsAListing(t *testing.T) {
	t.Parallel()
	for _, want := range []error{sdk.Errorf(sdk.RateLimited, "slow down"), sdk.Incomplete("page 2 is missing")} {
		count, last := 0, error(nil)
		for _, err := range serve(t, &echo{count: 150, err: want}).Repos(t.Context()) {
			if err != nil {
				last = err
				continue
			}
			count++
		}
		var e *sdk.Error
		if !errors.As(last, &e) || e.Kind == sdk.Internal {
			t.Errorf("want the end of %v, got %v after %d", want, last, count)
		}
	}
}
