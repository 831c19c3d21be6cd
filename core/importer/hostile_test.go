package importer

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// ahead is an upstream of which a first version was imported, unless the import
// to come is the first.
func ahead(t *testing.T, first bool) *world {
	t.Helper()
	w := newWorld(t)
	if !first {
		w.mustRun()
	}
	w.up.CommitFile("refs/heads/main", "more", incompressible(20_000))
	return w
}

// TestHostileListings: what an upstream says of its refs, at the first import
// and at a later one. Good refs come, and the next run does as the one before.
func TestHostileListings(t *testing.T) {
	t.Parallel()
	const nobodys = "1111111111111111111111111111111111111111"
	for _, test := range []struct {
		name  string
		add   string // a line more, OBJECT for that of main
		kind  core.FailureKind
		told  string // in the cause, or in the output of an import that succeeds
		ref   string // that comes
		first bool   // it is tried at a first import, too
	}{
		{"the same twice", "OBJECT refs/heads/main", core.FailNone, "", "", true},
		{"one name for two objects", nobodys + " refs/heads/main", core.FailCorrupt, `it lists "refs/heads/main" twice`, "none", true},
		{"an object that is not there", nobodys + " refs/heads/fake", core.FailCorrupt, "it lists refs/heads/fake, whose object 111111111111 it does not have", "", true},
		{"no object", strings.Repeat("0", 40) + " refs/heads/zero", core.FailCorrupt, "it lists refs/heads/zero, which it says is no object", "", false},
		{"half an object", "abc refs/heads/half", core.FailNotGit, `it lists "refs/heads/half" as "abc"`, "none", false},
		{"another kind of object", strings.Repeat("1", 64) + " refs/heads/long", core.FailNotGit, "invalid ls-refs response", "none", false},
		{"a ref below a ref", "OBJECT refs/heads/main/sub", core.FailCorrupt, "it lists refs/heads/main/sub, and refs/heads/main", "", true},
		{"control characters", "OBJECT refs/heads/a\x1b[2Jb", core.FailNone, `"refs/heads/a\x1b[2Jb"; it is left out`, "", true},
		{"the way out", "OBJECT refs/heads/../../config", core.FailNone, `"refs/heads/../../config"; it is left out`, "", false},
		{"a lock", "OBJECT refs/heads/x.lock", core.FailNone, `"refs/heads/x.lock"; it is left out`, "", false},
		{"a long name", "OBJECT refs/heads/" + strings.Repeat("n", 4000), core.FailNone, "name is too long", "", true},
		{"many directories", "OBJECT refs/heads" + strings.Repeat("/nnn", 1000), core.FailNone, "name is too long", "", false},
		{"other letters", "OBJECT refs/heads/caf\xe9", core.FailNone, "", "refs/heads/caf\xe9", false},
		{"an option", "OBJECT refs/heads/--upload-pack=x", core.FailNone, "", "refs/heads/--upload-pack=x", false},
		{"capitals", "OBJECT refs/heads/MAIN", core.FailNone, "", "refs/heads/MAIN", false},
		{"an object in capitals", "OBJECTUPPER refs/heads/upper", core.FailNone, "", "refs/heads/upper", true},
		{"a tag that is said to be another", "OBJECT refs/tags/lie peeled:" + nobodys, core.FailNone, "", "refs/tags/lie", false},
		{"our own", "OBJECT refs/lorry/kept/x", core.FailNone, "", "", false},
		{"no ref", "OBJECT config", core.FailNone, "", "", false},
	} {
		// A first import is another one where git alone reads the list.
		for _, first := range []bool{false, true} {
			if first && !test.first {
				continue
			}
			t.Run(fmt.Sprintf("%s, first %v", test.name, first), func(t *testing.T) {
				t.Parallel()
				w := ahead(t, first)
				main := w.up.Refs()["refs/heads/main"]
				line := strings.Replace(strings.Replace(test.add, "OBJECTUPPER", strings.ToUpper(main), 1), "OBJECT", main, 1)
				want, url := w.up.Mirrored(), w.opts.Spec.Access.URL
				switch test.ref {
				case "":
				case "none":
					want = w.down.Mirrored()
				default:
					want[test.ref] = main
				}
				w.opts.Spec.Access.URL = gittest.Lies(t, filepath.Join(w.dir, "up"), func(lines []string) []string { return append(lines, line) }).URL + "/thing.git"
				for range 2 {
					report := w.run()
					if report.Failure.Kind != test.kind || (report.Exit == ExitDone) != (test.kind == core.FailNone) || report.Exit != ExitDone && report.Failure.Hint == "" {
						t.Fatalf("want %q, got exit %d: %+v\n%s", test.kind, report.Exit, report.Failure, w.out)
					}
					if test.kind != core.FailNone && !strings.Contains(report.Failure.Cause, test.told) {
						t.Errorf("the cause is %q", report.Failure.Cause)
					}
					if diff := cmp.Diff(want, w.down.Mirrored()); diff != "" {
						t.Error(diff)
					}
					w.opts.Request.Digest = report.Digest
				}
				if !strings.Contains(w.out.String(), test.told) && test.kind == core.FailNone {
					t.Errorf("no %q in\n%s", test.told, w.out)
				}
				if test.kind == core.FailNone {
					if report := w.run(); !report.Unchanged || !strings.Contains(w.out.String(), "nothing to do") {
						t.Errorf("the third run had something to do: %+v", report)
					}
				}
				w.down.Fsck()
				w.opts.Spec.Access.URL, w.opts.Request.Digest = url, ""
				w.mustRun()
				for name, object := range w.up.Mirrored() {
					if w.down.Mirrored()[name] != object {
						t.Errorf("%s differs once upstream is good", name)
					}
				}
			})
		}
	}
}

// TestHostileAnswers: what a server does to one phase of an import has its kind,
// ends by itself, changes nothing, and the next run is right.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	half := func(end func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request, gittest.Answer) {
		return func(w http.ResponseWriter, r *http.Request, good gittest.Answer) {
			good.Begin(w)
			gittest.Send(w, good.Body[:len(good.Body)/2])
			end(w, r)
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	say := func(text string) func(http.ResponseWriter, *http.Request, gittest.Answer) {
		return func(w http.ResponseWriter, _ *http.Request, good gittest.Answer) {
			good.Begin(w)
			_, _ = io.WriteString(w, text)
		}
	}
	endless := func(begin, line string) func(http.ResponseWriter, *http.Request, gittest.Answer) {
		return func(w http.ResponseWriter, r *http.Request, good gittest.Answer) {
			good.Begin(w)
			_, err := io.WriteString(w, begin)
			for err == nil && r.Context().Err() == nil {
				_, err = io.WriteString(w, line)
			}
		}
	}
	const words = "Operation too slow"
	for _, test := range []struct {
		phase  gittest.Phase
		name   string
		answer func(http.ResponseWriter, *http.Request, gittest.Answer)
		kind   core.FailureKind
		cause  string
	}{
		{gittest.Advertisement, "half, then nothing", half(hang), core.FailNetwork, ""},
		{gittest.Advertisement, "empty", say(""), core.FailNotGit, "the answer is empty"},
		{gittest.Advertisement, "no refs", say("0000"), core.FailEmpty, "no branch"},
		{gittest.Advertisement, "words", say(gittest.Pkt("ERR go \x1b[2Jaway\n")), core.FailOther, "remote error: go "},
		{gittest.Advertisement, "words of a kind", say(gittest.Pkt("ERR Repository not found.\n")), core.FailGone, "Repository not found"},
		{gittest.Listing, "half, then nothing", half(hang), core.FailNetwork, "less than 1000 bytes a second came for 2s"},
		{gittest.Listing, "one byte at a time", func(w http.ResponseWriter, r *http.Request, good gittest.Answer) {
			good.Begin(w)
			for i := 0; i < len(good.Body) && r.Context().Err() == nil; i++ {
				gittest.Send(w, good.Body[i:i+1])
				wait(r, 100)
			}
		}, core.FailNetwork, "less than 1000 bytes a second came for 2s"},
		{gittest.Listing, "cut between lines", func(w http.ResponseWriter, _ *http.Request, good gittest.Answer) {
			good.Begin(w)
			_, _ = w.Write(good.Body[:len(good.Body)-4])
		}, core.FailNetwork, "ends too early"},
		{gittest.Listing, "cut in a line", half(func(http.ResponseWriter, *http.Request) {}), core.FailNetwork, "ends too early"},
		{gittest.Listing, "broken off", half(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), core.FailNetwork, ""},
		{gittest.Listing, "words", say(gittest.Pkt("ERR go away\n")), core.FailOther, "remote error: go away"},
		{gittest.Listing, "packed zeros", func(w http.ResponseWriter, _ *http.Request, good gittest.Answer) {
			good.Header.Set("Content-Encoding", "gzip")
			good.Begin(w)
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, 64<<20))
			_ = z.Close()
		}, core.FailNotGit, "not in git's protocol"},
		{gittest.Transfer, "half, then nothing", half(hang), core.FailNetwork, words},
		{gittest.Transfer, "cut", half(func(http.ResponseWriter, *http.Request) {}), core.FailNetwork, ""},
		{gittest.Transfer, "empty", say(""), core.FailNetwork, "expected 'acknowledgments'"},
		{gittest.Transfer, "words", say(gittest.Pkt("ERR go away\n")), core.FailOther, "remote error: go away"},
		{gittest.Transfer, "page", say("<html>\n"), core.FailNotGit, "bad line length"},
		{gittest.Transfer, "another byte", func(w http.ResponseWriter, _ *http.Request, good gittest.Answer) {
			good.Begin(w)
			good.Body[len(good.Body)*2/3] ^= 0x55
			_, _ = w.Write(good.Body)
		}, core.FailCorrupt, ""},
		{gittest.Transfer, "more behind the end", func(w http.ResponseWriter, _ *http.Request, good gittest.Answer) {
			good.Begin(w)
			_, _ = w.Write(append(good.Body, "and more"...))
		}, core.FailNotGit, ""},
		{gittest.Transfer, "talk without end", endless(gittest.Pkt("packfile\n"), gittest.Pkt("\x02"+strings.Repeat("talk ", 200)+"\n")), core.FailLimit, "bytes of messages"},
	} {
		t.Run(string(test.phase)+", "+test.name, func(t *testing.T) {
			t.Parallel()
			w := ahead(t, test.kind == core.FailLimit)
			w.opts.Limits.Output = 8 << 20
			url, before := w.opts.Spec.Access.URL, w.down.Refs()
			w.opts.Spec.Access.URL = gittest.Between(t, filepath.Join(w.dir, "up"), test.phase, test.answer).URL + "/thing.git"
			report := w.mustFail(test.kind)
			if !strings.Contains(report.Failure.Cause, test.cause) || report.Failure.Hint == "" || strings.ContainsAny(report.Failure.Cause, "\n\x1b") {
				t.Errorf("got %+v", report.Failure)
			}
			if diff := cmp.Diff(before, w.down.Refs()); diff != "" {
				t.Error(diff)
			}
			w.opts.Spec.Access.URL = url
			w.mustRun()
			w.mustEqual()
		})
	}
}

// TestNoOtherAddress: a server that sends us elsewhere for a part of the objects,
// which nobody asked it to do, sends us nowhere.
func TestNoOtherAddress(t *testing.T) {
	t.Parallel()
	port, hits := canary(t)
	for _, first := range []bool{true, false} {
		for _, scheme := range []string{"http", "https", "ftp", "file"} {
			w := ahead(t, first)
			asked := false
			w.opts.Spec.Access.URL = gittest.Between(t, filepath.Join(w.dir, "up"), gittest.Transfer, func(rw http.ResponseWriter, _ *http.Request, good gittest.Answer) {
				good.Begin(rw)
				before, after, ok := strings.Cut(string(good.Body), gittest.Pkt("packfile\n"))
				asked = asked || ok
				_, _ = io.WriteString(rw, before+gittest.Pkt("packfile-uris\n")+gittest.Pkt(strings.Repeat("1", 40)+" "+scheme+"://127.0.0.1:"+port+"/x.pack")+"0001"+gittest.Pkt("packfile\n")+after)
			}).URL + "/thing.git"
			report := w.mustFail(core.FailGone)
			if !strings.Contains(report.Failure.Hint, "never followed") || !asked {
				t.Errorf("asked %v: %+v", asked, report.Failure)
			}
		}
	}
	if n := hits.Load(); n > 0 {
		t.Errorf("the other address was reached %d times", n)
	}
}

// wait waits so many milliseconds, or until the request is over.
func wait(r *http.Request, milliseconds int) {
	select {
	case <-time.After(time.Duration(milliseconds) * time.Millisecond):
	case <-r.Context().Done():
	}
}
