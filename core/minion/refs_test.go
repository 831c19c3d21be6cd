package minion

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// manyRefs are so many refs of a job: the last ones but one were held and
// refused.
func manyRefs(count int) []core.RefResult {
	refs := make([]core.RefResult, 0, count)
	for i := range count {
		refs = append(refs, core.RefResult{Ref: fmt.Sprintf("refs/tags/builds/v%06d", i), New: fmt.Sprintf("%040d", i), Status: core.RefNew})
	}
	refs[count-2].Status, refs[count-2].Old, refs[count-3].Status = core.RefHeld, strings.Repeat("1", 40), core.RefRejected
	return refs
}

func TestOfVeryManyRefsThoseThatDidNotGoOutAreTold(t *testing.T) {
	t.Parallel()
	few, many := manyRefs(500), manyRefs(100_000)
	long := slices.Repeat([]core.RefResult{{Ref: strings.Repeat("<", 1000), Status: core.RefHeld}}, 1000) // six times as long in JSON
	for _, test := range []struct {
		name  string
		refs  []core.RefResult
		most  int
		first []core.RefResult
		told  int
	}{
		{"few", few, maxRefs, few[:3], 500},
		{"many", many, maxRefs, []core.RefResult{many[99_998], many[99_997], many[0], many[1]}, 5295},
		{"many, but little room", many, fewRefs, []core.RefResult{many[99_998], many[99_997], many[0], many[1]}, 164},
		{"long names", long, maxRefs, long[:1], 86},
		{"no room", few, 0, nil, 0},
	} {
		var out strings.Builder
		end := protocol.Update{Refs: slices.Clone(test.refs)}
		fit(&end, test.most, &out)
		if diff := cmp.Diff(test.first, end.Refs[:min(len(test.first), len(end.Refs))], cmpopts.EquateEmpty()); diff != "" || len(end.Refs) != test.told || len(jsonOf(t, end.Refs)) > max(test.most, 100) {
			t.Errorf("%s: %d are told (-want +got):\n%s", test.name, len(end.Refs), diff)
		}
		var want string
		if left := len(test.refs) - test.told; left > 0 {
			want = fmt.Sprintf("Note: of %d refs %d are left out of the job's list of refs, since a report has no room for them\n", len(test.refs), left)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s: note (-want +got):\n%s", test.name, diff)
		}
	}
}

// reportOf writes what lorry is to report into a file and gives the script that
// does so.
func reportOf(t *testing.T, report, before string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report")
	if err := os.WriteFile(file, []byte(report+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return oursHelp + `cat <&3 >/dev/null; ` + before + `; cat "` + file + `" >&4`
}

// A first mirror of a repository with very many tags: every ref is a line of
// lorry's report.
func TestTheEndOfAJobWithVeryManyRefsIsRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.program(t, "lorry", reportOf(t, `{"path":"up/foo","exit":1,"failure":{"kind":"diverged","cause":"x"},"refs":`+jsonOf(t, manyRefs(100_000))+`}`, "echo done"))
	b.put("up/foo")
	b.start(t)
	got := b.await(t, 1, ended)
	if got.Exit != "1" || got.Failure.Kind != core.FailDiverged || len(got.Refs) < 1000 || got.Refs[0].Status != core.RefHeld || got.Refs[1].Status != core.RefRejected {
		t.Errorf("exit %q, failure %+v, %d refs, of which the first are %+v", got.Exit, got.Failure, len(got.Refs), got.Refs[:min(len(got.Refs), 2)])
	}
	want := fmt.Sprintf("done\nNote: of 100000 refs %d are left out of the job's list of refs, since a report has no room for them\n", 100_000-len(got.Refs))
	if diff := cmp.Diff(want, b.output(t, 1)); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

// TestABodyThatIsTooLongIsSentShorter has something between minion and
// controller that takes less than the controller does.
func TestABodyThatIsTooLongIsSentShorter(t *testing.T) {
	t.Parallel()
	for name, words := range map[string]string{
		"a proxy":        "<html>413 Request Entity Too Large</html>",
		"the controller": `{"kind": "invalid", "message": "body is longer than 60000 bytes"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			line := strings.Repeat("x", 99)
			b.program(t, "lorry", reportOf(t, `{"path":"up/foo","exit":0,"digest":"d1","refs":`+jsonOf(t, manyRefs(1000))+`}`,
				`i=0; while [ $i -lt 3000 ]; do echo `+line+`; i=$((i+1)); done`))
			b.put("up/foo")
			b.answerWith(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || len(body) > 60_000 {
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					_, _ = io.WriteString(w, words)
					return
				}
				again := r.Clone(context.WithoutCancel(r.Context()))
				again.Body = io.NopCloser(bytes.NewReader(body))
				b.inner.ServeHTTP(w, again)
			})
			b.start(t)
			got := b.await(t, 1, ended)
			if got.Exit != "0" || len(got.Refs) < 100 || got.Refs[0].Status != core.RefHeld {
				t.Fatalf("want exit 0 and some refs, the one that was held before all, got %q and %d", got.Exit, len(got.Refs))
			}
			want := strings.Repeat(line+"\n", 3000) + fmt.Sprintf("Note: of 1000 refs %d are left out of the job's list of refs, since a report has no room for them\n", 1000-len(got.Refs))
			if out := b.output(t, 1); out != want {
				t.Errorf("output has %d bytes of %d and ends with %q", len(out), len(want), out[max(0, len(out)-200):])
			}
		})
	}
}

// TestAnEndThatIsTooLongInAnyCaseIsGivenUp holds that a slot does not try for
// ever.
func TestAnEndThatIsTooLongInAnyCaseIsGivenUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.answerWith(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	id := core.JobID(1)
	out := &output{}
	if _, err := out.Write([]byte(strings.Repeat("x", 3*maxChunk))); err != nil {
		t.Fatal(err)
	}
	r := newReporter(b.worker(t), protocol.Job{JobID: &id, Fence: 1}, out, b.options.Log)
	r.finish(t.Context(), protocol.Update{JobID: id, Fence: 1, Exit: "0", Refs: manyRefs(10)})
	if r.most > leastChunk {
		t.Errorf("it gave up at %d bytes of output in a report", r.most)
	}
}
