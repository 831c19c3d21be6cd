package minion

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

func TestMoreJobsAtOnceWhileNothingIsNew(t *testing.T) {
	t.Parallel()
	most := 1
	for range 10 {
		most = seen{jobs: most, took: time.Millisecond}.more(most)
	}
	for _, test := range []struct {
		name string
		of   seen
		want int
	}{
		{"nothing is new", seen{jobs: 64, took: time.Millisecond}, mostAtOnce},
		{"one is new", seen{jobs: 64, changed: 1, took: time.Millisecond}, mostAtOnce / 2},
		{"some are new", seen{jobs: 64, changed: 8, took: time.Millisecond}, mostAtOnce / 16},
		{"all are new", seen{jobs: 64, changed: 64}, 1},
		{"a slow upstream", seen{jobs: 10, took: 4 * time.Second}, 4},
		{"a very slow upstream", seen{jobs: 1, took: time.Minute}, 1},
	} {
		if got := test.of.more(most); got != test.want {
			t.Errorf("%s: want %d, got %d", test.name, test.want, got)
		}
	}
}

// TestManyUnchangedUpstreamsAreLookedAtTogether gives a minion more jobs than
// fit into one request. One upstream is new: for that one alone lorry is
// started, and no job is lost.
func TestManyUnchangedUpstreamsAreLookedAtTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Jobs = 1
	dir := t.TempDir()
	gittest.Seed(t, filepath.Join(dir, "old.git"))
	fresh := gittest.Seed(t, filepath.Join(dir, "new.git"))
	server := gittest.NewServer(t, dir)
	digest := digestOf(t, dir, server.URL+"/old.git")
	fresh.Commit("refs/heads/main", "more")
	ran := filepath.Join(dir, "ran")
	b.program(t, "lorry", oursHelp+`cat <&3 >>`+ran+`; echo '{"path":"x","exit":0,"digest":"`+digest+`"}' >&4`)
	const count = 60
	for i := range count {
		path, upstream := fmt.Sprintf("up/%03d", i), "old"
		if i == 40 {
			upstream = "new"
		}
		b.queue.Put(core.LorryState{
			Lorry:  core.Lorry{Path: path, Text: fmt.Sprintf(`{%q: {"type": "git", "url": "%s/%s.git"}}`, path, server.URL, upstream), Interval: time.Millisecond, Timeout: time.Hour},
			Digest: digest,
		})
	}
	b.start(t)
	done := make(map[string]bool)
	for id := core.JobID(1); len(done) < count; id++ {
		job := b.await(t, id, ended)
		if job.Exit == "returned" {
			continue
		}
		if job.Exit != "0" || done[job.Path] || job.Unchanged == (job.Path == "up/040") {
			t.Errorf("got %+v", job)
		}
		done[job.Path] = true
	}
	text, err := os.ReadFile(ran)
	if err != nil || strings.Count(string(text), `"path"`) != 1 || !strings.Contains(string(text), `"up/040"`) {
		t.Errorf("lorry ran for %s, %v", text, err)
	}
}

// digestOf mirrors a repository once and gives the digest of its refs.
func digestOf(t *testing.T, dir, url string) string {
	t.Helper()
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(dir, "home")})
	if err != nil {
		t.Fatal(err)
	}
	reader := lsrefs.NewReader(git)
	defer reader.Close()
	down := gittest.NewRepo(t, filepath.Join(dir, "down.git"))
	report := importer.Run(t.Context(), importer.Options{
		WorkingArea: filepath.Join(dir, "once"), Git: git, Reader: reader,
		Spec:    spec.Spec{Name: "x", Type: spec.Git, Access: core.Access{URL: url}},
		Request: &protocol.ImportRequest{Path: "x", Push: &protocol.Access{URL: down.Dir}},
	})
	if report.Exit != 0 {
		t.Fatalf("%+v", report)
	}
	return report.Digest
}
