package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

func TestParseBody(t *testing.T) {
	t.Parallel()
	const multi = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\xffy\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n2\r\n--b--\r\n"
	for _, test := range []struct {
		name, contentType, body string
		want                    map[string][]string
	}{
		{"empty", "", "", map[string][]string{}},
		{"pairs", "application/x-www-form-urlencoded", "a=1&b=x+y%2Fz&a=2&&c", map[string][]string{"a": {"1", "2"}, "b": {"x y/z"}, "c": {""}}},
		{"semicolons do not separate", "", "a=1;b=2", map[string][]string{"a": {"1;b=2"}}},
		{"broken escapes stand for themselves", "", "a=100%+%zz%4", map[string][]string{"a": {"100% %zz%4"}}},
		{"bytes that are no text stay readable", "", "a=x%ffy%00z", map[string][]string{"a": {"x\uFFFDy\uFFFDz"}}},
		{"multipart", "multipart/form-data; boundary=b", multi, map[string][]string{"a": {"x\uFFFDy", "2"}}},
		{"json", "application/json", `{"n": 1, "t": "x", "b": true, "z": null, "l": ["p", 2], "o": {"x": 1}, "m": [[1]]}`, map[string][]string{"n": {"1"}, "t": {"x"}, "b": {"true"}, "z": {""}, "l": {"p", "2"}}},
		{"json list", "text/plain", `[{"n": 1}]`, map[string][]string{}},
		{"not quite json", "", `{"a": 1`, map[string][]string{`{"a": 1`: {""}}},
		{"empty json", "application/json", " ", map[string][]string{}},
	} {
		form, err := ParseBody(test.contentType, []byte(test.body))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, form.values); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	for _, test := range []struct{ contentType, body string }{
		{"application/json", "{"}, {"multipart/form-data", ""}, {"multipart/form-data; boundary=b", "--b\r\nx"},
	} {
		if _, err := ParseBody(test.contentType, []byte(test.body)); core.KindOf(orNone(err)) != core.KindInvalid {
			t.Errorf("%+v: want an error of kind invalid, got %v", test, err)
		}
	}
}

// orNone stands for a missing error, which core.KindOf does not take.
func orNone(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

func TestErrorsAreWordedForClients(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err    error
		status int
		want   protocol.Error
	}{
		{core.Errorf(core.KindNotFound, "no job %d", 3), 404, protocol.Error{Kind: core.KindNotFound, Message: "no job 3", Hint: "/1.0/list-queue, /1.0/jobs, /1.0/hosts and /1.0/minions name what there is"}},
		{fmt.Errorf("wrapped: %w", &core.Error{Kind: core.KindUnavailable, Fact: "away", Hint: "wait"}), 503, protocol.Error{Kind: core.KindUnavailable, Message: "away", Hint: "wait"}},
		{errors.New("pq: password is x"), 500, protocol.Error{Kind: core.KindInternal, Message: "the request could not be carried out", Hint: "the controller's log says why"}},
		{context.DeadlineExceeded, 500, protocol.Error{Kind: core.KindInternal, Message: "the request could not be carried out", Hint: "the controller's log says why"}},
		{&http.MaxBytesError{Limit: 10}, 413, protocol.Error{Kind: core.KindInvalid, Message: "body is longer than 10 bytes", Hint: "send it in several parts"}},
	} {
		if diff := cmp.Diff(test.want, ErrorBody(test.err)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.err, diff)
		}
		if diff := cmp.Diff(test.status, Status(test.err)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.err, diff)
		}
	}
}

func FuzzParseBody(f *testing.F) {
	f.Add("", "job_id=1&exit=no&stdout=a%0Ab&disk_usage=None")
	f.Add("application/json", `[{"job_id": 1, "exit": "0", "refs": [{"ref": "refs/heads/x"}]}]`)
	f.Add("application/json", `{"max_jobs": null, "holds": ["a", "b"]}`)
	f.Add("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n")
	f.Add("", "%=%&%%;+=&\xff\x00")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		form, err := ParseBody(contentType, []byte(body))
		if err != nil {
			if core.KindOf(err) != core.KindInvalid {
				t.Errorf("want an error of kind invalid, got %v", err)
			}
			return
		}
		for key, values := range form.values {
			for _, text := range append(values, key) {
				if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
					t.Errorf("field %q holds what can't be stored: %q", key, text)
				}
			}
		}
		if target := form.Get("redirect"); target != "" {
			if path, err := LocalPath(target); err == nil && (path[0] != '/' || strings.HasPrefix(path, "//")) {
				t.Errorf("redirect leaves the server: %q", path)
			}
		}
	})
}
