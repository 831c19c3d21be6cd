package importer

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

func TestProgressShowsOneLineNowAndThen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(1700000000, 0)
	p := newProgress(&out, false, func() time.Time { return now })
	r := childproc.NewRedactor(p)
	for i := range 20 {
		fmt.Fprintf(r, "Receiving objects: %3d%%\r", i*5)
		now = now.Add(time.Second)
	}
	fmt.Fprint(r, "Receiving objects: 100%, done.\nResolving deltas: 100%, done.\nwarning: something odd\n   abc..def  main -> main\n")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want := "   Receiving objects:  25%\n   Receiving objects:  50%\n   Receiving objects:  75%\n   Receiving objects: 100%, done.\n   warning: something odd\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// TestProgressOnATerminal overwrites its line, and wipes what is longer.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(1700000000, 0)
	p := newProgress(&out, false, func() time.Time { return now })
	p.terminal = true
	var told []protocol.Progress
	p.tell = func(step protocol.Progress) { told = append(told, step) }
	r := childproc.NewRedactor(p)
	for _, line := range []string{"Receiving objects:  10% (1/10), 1.50 KiB | 2.00 MiB/s\r", "Resolving deltas: 100% (3/3)\r", "warning: x\n"} {
		now = now.Add(time.Second)
		fmt.Fprint(r, line)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	_, _ = fmt.Fprint(p, "Receiving objects:  20% (2/10)\r")
	_, _ = fmt.Fprint(p.beside(), ".. pushing\n")
	blank := strings.Repeat(" ", 31)
	want := "   Receiving objects:  10% (1/10), 1.50 KiB | 2.00 MiB/s\r   Resolving deltas: 100% (3/3)" + strings.Repeat(" ", 25) + "\r" +
		blank + "\r   warning: x\n   Receiving objects:  20% (2/10)\r" + strings.Repeat(" ", 33) + "\r.. pushing\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	steps := []protocol.Progress{{Phase: "Receiving objects", Done: 1, Total: 10, Bytes: 1536, Rate: 2 << 20}, {Phase: "Resolving deltas", Done: 3, Total: 3}, {Phase: "Receiving objects", Done: 2, Total: 10}}
	if diff := cmp.Diff(steps, told); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseProgress(f *testing.F) {
	f.Add("remote: Counting objects: 100% (9/9), done.")
	f.Add("Receiving objects:  45% (450/1000), 1.20 MiB | 3.40 MiB/s")
	f.Add("remote: Enumerating objects: 12, done.")
	f.Fuzz(func(t *testing.T, line string) {
		p, ok := parseProgress(line)
		if p.Done < 0 || p.Total < 0 || p.Bytes < 0 || p.Rate < 0 || ok == (p.Phase == "") {
			t.Errorf("%q: %+v, %v", line, p, ok)
		}
	})
}

func TestPrintRefs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printRefs(&out, []core.RefResult{
		{Ref: "refs/heads/main", Old: strings.Repeat("a", 40), New: strings.Repeat("b", 40), Status: core.RefUpdated},
		{Ref: "refs/heads/gone", Old: strings.Repeat("c", 40), Status: core.RefDeleted},
		{Ref: "refs/heads/x", Old: strings.Repeat("d", 40), New: strings.Repeat("e", 40), Status: core.RefHeld, Reason: "non-fast-forward"},
	}, 3)
	want := "   held     refs/heads/x dddddddddddd..eeeeeeeeeeee (non-fast-forward)\n" +
		"   updated  refs/heads/main aaaaaaaaaaaa..bbbbbbbbbbbb\n" +
		"   deleted  refs/heads/gone was cccccccccccc\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	many := make([]core.RefResult, maxRefLines+7)
	for i := range many {
		many[i] = core.RefResult{Ref: fmt.Sprintf("refs/heads/%d", i), New: "f", Status: core.RefNew}
	}
	printRefs(&out, many, len(many))
	if got := out.String(); strings.Count(got, "\n") != maxRefLines+1 || !strings.HasSuffix(got, "… and 7 more refs\n") {
		t.Errorf("got %d lines", strings.Count(got, "\n"))
	}
}

func TestExportNames(t *testing.T) {
	t.Parallel()
	e := Export{FetchBase: "git://git.example.org/"}
	if want, got := "git___git_example_org_delta_gcc_tarball", e.quoted("delta/gcc-tarball"); want != got {
		t.Errorf("want %q, got %q", want, got)
	}
}
