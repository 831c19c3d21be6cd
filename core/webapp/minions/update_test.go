package minions

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

func TestUpdatesOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body string
		want       []protocol.Update
		list       bool
	}{
		{"form", "job_id=3&exit=no&stdout=a&stderr=b&disk_usage=None", []protocol.Update{{JobID: 3, Exit: "no", Stdout: "a", Stderr: "b"}}, false},
		{"form with a fence", "job_id=3&fence=4&exit=0&disk_usage=7&head=refs/heads/x", []protocol.Update{{JobID: 3, Fence: 4, Exit: "0", DiskUsage: 7, Head: "refs/heads/x"}}, false},
		{"object", `{"job_id": 3, "fence": 4, "exit": "1", "failure": {"kind": "auth"}}`, []protocol.Update{{JobID: 3, Fence: 4, Exit: "1", Failure: core.Failure{Kind: "auth"}}}, false},
		{"object of a script", `{"job_id": "3", "exit": 0}`, []protocol.Update{{JobID: 3, Exit: "0"}}, false},
		{"list", ` [{"job_id": 3, "exit": "no"}, {"job_id": 4, "exit": "0"}]`, []protocol.Update{{JobID: 3, Exit: "no"}, {JobID: 4, Exit: "0"}}, true},
		{"empty list", `[]`, []protocol.Update{}, true},
	} {
		form, err := exchange.ParseBody("", []byte(test.body))
		if err != nil {
			t.Fatal(err)
		}
		got, list, err := updatesOf(form)
		if err != nil || list != test.list {
			t.Errorf("%s: list %v, error %v", test.name, list, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func FuzzUpdate(f *testing.F) {
	f.Add("job_id=3&exit=no&stdout=a&stderr=b&disk_usage=None")
	f.Add(`[{"job_id": 3, "fence": 4, "exit": "-9", "failure": {"kind": "auth"}, "refs": [{"ref": "refs/heads/\u0000"}]}]`)
	f.Add(`{"job_id": "3", "exit": 1e3}`)
	m := New(Options{Clock: time.Now, Log: hclog.NewNullLogger()})
	f.Fuzz(func(t *testing.T, body string) {
		form, err := exchange.ParseBody("", []byte(body))
		if err != nil {
			return
		}
		updates, _, err := updatesOf(form)
		if err != nil {
			if core.KindOf(err) != core.KindInvalid {
				t.Errorf("want an error of kind invalid, got %v", err)
			}
			return
		}
		for _, u := range updates {
			if code, err := strconv.Atoi(u.Exit); err == nil && code < 0 {
				continue // asks the queue, which is not here
			}
			p, err := m.params(t.Context(), u)
			if err != nil {
				continue
			}
			if p.Done && p.Exit != "0" && !p.Returned && !p.Failure.Failed() {
				t.Errorf("failed job without a failure: %+v", p)
			}
			if exchange.Text(p.Output) != p.Output || p.DiskUsage < 0 {
				t.Errorf("report can't be stored: %+v", p)
			}
		}
	})
}
