package webapp_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// A status is written in parts; put together they are what one piece would be.
func TestAStatusOfManyPartsIsWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var want []string
	for i := range 1203 {
		l := lorryAt(fmt.Sprintf("many/%04d <&>", i))
		l.Due = s.clock.Now().Add(-time.Duration(i) * time.Second)
		s.queue.Put(l)
		want = append(want, l.Path)
	}
	slices.Reverse(want)
	body := s.get(t, "/1.0/status").body
	var got protocol.Status
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, l := range got.RunQueue {
		paths = append(paths, l.Path)
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
	again, err := json.Marshal(got)
	if err != nil || string(again)+"\n" != body {
		t.Errorf("the parts differ from one piece in more than where they are cut: %v", err)
	}
	if !strings.HasPrefix(body, `{"running_queue":true,"run_queue":[{"path":"many/1202`) {
		t.Errorf("the order of keys is another one: %.80s", body)
	}
	if head := s.send(t, http.MethodHead, "/1.0/status", "", ""); head.status != http.StatusOK || head.body != "" {
		t.Errorf("HEAD: %d, %d bytes", head.status, len(head.body))
	}
}

// So is a long list of jobs.
func TestAListOfManyJobsIsWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const jobs = 10_001
	for i := range jobs {
		s.queue.Put(lorryAt(fmt.Sprintf("many/%05d", i)))
	}
	if got, err := s.queue.Claim(t.Context(), queue.ClaimParams{Max: jobs}); err != nil || len(got) != jobs {
		t.Fatal(len(got), err)
	}
	want := protocol.JobIDs{}
	for id := range core.JobID(jobs) {
		want.JobIDs = append(want.JobIDs, id+1)
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.get(t, "/1.0/list-jobs").body; got != string(text)+"\n" {
		t.Errorf("want as in one piece, got %.60s… of %d bytes, not %d", got, len(got), len(text)+1)
	}
	if head := s.send(t, http.MethodHead, "/1.0/list-jobs", "", ""); head.status != http.StatusOK || head.body != "" {
		t.Errorf("HEAD: %d, %d bytes", head.status, len(head.body))
	}
	s.get(t, "/1.0/list-jobs?limit=2").want(t, http.StatusOK, `{"job_ids":[10001,10000]}`)
}
