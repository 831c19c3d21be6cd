package lorryctl

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// breakingOff serves a job's output in two streams, of which the first breaks
// off in the middle of a line.
func breakingOff(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch offset := r.URL.Query().Get("offset"); offset {
		case "0":
			_, _ = io.WriteString(w, `{"offset":0,"text":"one\n"}`+"\n\n"+`{"offset":4,"te`)
		case "4":
			_, _ = io.WriteString(w, `{"offset":4,"text":"two\r\u001b[1mx\n"}`+"\n"+
				`{"offset":15,"text":"","state":"failed","exit":"1","failure":{"kind":"auth","cause":"no \u001b[2J"}}`+"\n")
		default:
			t.Errorf("asked from %s", offset)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestAFollowedJobIsTakenUpAgainAndItsEndIsTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ format, stdout string }{
		"as it is": {"table", "one\ntwo\r\x1b[1mx\n"},
		"as JSON":  {"json", `{"offset":0,"text":"one\n"}` + "\n" + `{"offset":4,"text":"two\r\u001b[1mx\n"}` + "\n" + `{"offset":15,"text":"","state":"failed","exit":"1","failure":{"kind":"auth","cause":"no \u001b[2J"}}` + "\n"},
	} {
		server := breakingOff(t)
		code, stdout, stderr := run([]string{"jobs", "output", "7", "-f", "--addr", server.URL, "-o", test.format})
		if diff := cmp.Diff([]any{0, test.stdout, "Job 7 has failed: no ?[2J\n"}, []any{code, stdout, stderr}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestATerminalGetsNothingHarmfulAndNoLineIsLeft(t *testing.T) {
	t.Parallel()
	server := breakingOff(t)
	var out, errs bytes.Buffer
	a := &app{stdout: &out, stderr: &errs, clock: time.Now, terminal: true}
	if err := a.run(t.Context(), []string{"jobs", "output", "7", "--follow", "--addr", server.URL}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("one\ntwo\n?[1mx\n", out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if drawn := strings.Count(errs.String(), "…"); strings.Count(errs.String(), "\r\x1b[K") != 2*drawn {
		t.Errorf("each line that is drawn is to be taken away: %q", errs.String())
	}
}

func TestEventsArePrintedOneALine(t *testing.T) {
	t.Parallel()
	const stream = ": x\nid: a-1\nevent: job\ndata: {\"job_id\":1}\n\n: still here\n\nid: a-2\nevent: config\ndata: {}\n\n"
	for format, want := range map[string]string{
		"table": "job      {\"job_id\":1}\nconfig   {}\n", "json": `{"data":{"job_id":1},"event":"job"}` + "\n" + `{"data":{},"event":"config"}` + "\n",
	} {
		var out bytes.Buffer
		a := &app{stdout: &out, format: format}
		if err := a.printEvents(strings.NewReader(stream)); err == nil {
			t.Error("want the end of the stream to be told")
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

func TestFilesOfADirectoryAreSentAsTheyAre(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := readFiles(dir); err == nil || !strings.Contains(fmt.Sprint(err), "no file") {
		t.Errorf("an empty directory: got %v", err)
	}
	if _, err := readFiles(dir + "/none"); err == nil {
		t.Error("a directory that is not there was read")
	}
}

// TestTheLineBelowTheOutputSaysHowFarTheJobIs holds also that nothing a minion
// says can act on the terminal.
func TestTheLineBelowTheOutputSaysHowFarTheJobIs(t *testing.T) {
	t.Parallel()
	now := time.Unix(100, 0)
	var out bytes.Buffer
	a := &app{stdout: &out, clock: func() time.Time { return now }, format: "table"}
	p := a.newProgress()
	now = now.Add(65 * time.Second)
	if diff := cmp.Diff("… running, 0 B of output, followed for 1 min 5 s", p.line()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var offset int64
	const parts = `{"offset":0,"text":"one\n"}` + "\n" + `{"offset":4,"text":"","progress":{"text":"fetching \u001b[2J, 3 refs"}}` + "\n"
	if _, err := a.copyParts(strings.NewReader(parts), &offset, p); err != nil {
		t.Fatal(err)
	}
	want := []any{"… fetching ?[2J, 3 refs, followed for 1 min 5 s", "one\n", int64(4)}
	if diff := cmp.Diff(want, []any{p.line(), out.String(), offset}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
