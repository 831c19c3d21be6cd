package audit

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lorry-controller/lorry-controller/core"
)

// chain makes n rows behind the row removed.
func chain(n int, removed Mark) ([]Entry, Ends) {
	var rows []Entry
	at := removed
	for i := range n {
		e := Entry{Seq: at.Seq + 1, At: time.UnixMicro(int64(i) * 1e6).UTC(), Who: "me", Action: "POST /1.0/hold", Subject: "path=a", Result: "ok"}
		e.Hash = e.Sum(at.Hash)
		rows = append(rows, e)
		at = Mark{e.Seq, e.Hash}
	}
	return rows, Ends{Last: at, Removed: removed}
}

func verify(rows []Entry, ends Ends, known ...Mark) error {
	_, err := Verify(ends, known, func(after int64, limit int) ([]Entry, error) {
		i := slices.IndexFunc(rows, func(e Entry) bool { return e.Seq > after })
		if i < 0 {
			return nil, nil
		}
		return rows[i:min(i+limit, len(rows))], nil
	})
	return err
}

// Whatever one does to one row, or to several, is noticed.
func TestTamperingIsNoticed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		removed := Mark{}
		if rapid.Bool().Draw(t, "removed") {
			removed = Mark{Seq: 41, Hash: strings.Repeat("ab", 32)}
		}
		rows, ends := chain(rapid.IntRange(2, 12).Draw(t, "rows"), removed)
		if err := verify(rows, ends, ends.Last); err != nil {
			t.Fatalf("a whole chain: %v", err)
		}
		i := rapid.IntRange(0, len(rows)-1).Draw(t, "row")
		what := rapid.SampledFrom([]string{"remove", "change", "move", "cut", "insert", "rebuild", "seq"}).Draw(t, "what")
		switch what {
		case "remove":
			rows = slices.Delete(rows, i, i+1)
		case "change":
			part := rapid.SampledFrom([]func(*Entry){
				func(e *Entry) { e.Who = "you" }, func(e *Entry) { e.From = "x" }, func(e *Entry) { e.Action += " " }, func(e *Entry) { e.Subject = "" },
				func(e *Entry) { e.Was = "x" }, func(e *Entry) { e.Became = "x" }, func(e *Entry) { e.Result = "x" }, func(e *Entry) { e.At = e.At.Add(time.Microsecond) },
				func(e *Entry) { e.Hash = strings.Repeat("0", 64) },
				func(e *Entry) { e.Who, e.From = "m", "e" }, // the same letters elsewhere
			}).Draw(t, "part")
			part(&rows[i])
		case "move":
			j := (i + 1) % len(rows)
			rows[i], rows[j] = rows[j], rows[i]
			rows[i].Seq, rows[j].Seq = rows[j].Seq, rows[i].Seq
		case "cut":
			rows = rows[:i]
		case "insert":
			rows = slices.Insert(rows, i, rows[i])
		case "rebuild": // with a new end, but against what was noted down
			noted := ends.Last
			rows[i].Who = "you"
			previous := removed.Hash
			for k := range rows {
				rows[k].Hash = rows[k].Sum(previous)
				previous = rows[k].Hash
			}
			ends.Last.Hash = previous
			if err := verify(rows, ends, noted); core.KindOf(err) != core.KindConflict {
				t.Fatalf("rebuilt: %v", err)
			}
			return
		case "seq":
			for k := i; k < len(rows); k++ {
				rows[k].Seq++
			}
		}
		if err := verify(rows, ends); core.KindOf(err) != core.KindConflict {
			t.Fatalf("%s of row %d was not noticed: %v", what, i, err)
		}
	})
}

func TestRowsThatComeMeanwhileDoNoHarm(t *testing.T) {
	t.Parallel()
	rows, _ := chain(5, Mark{})
	ends := Ends{Last: Mark{3, rows[2].Hash}}
	if err := verify(rows, ends); err != nil {
		t.Error(err)
	}
	if err := verify(nil, Ends{}); err != nil {
		t.Error(err)
	}
	if err := verify(rows[:2], ends); err == nil || !strings.Contains(err.Error(), "rows 3 to 3 are missing at the end") {
		t.Errorf("got %v", err)
	}
}

func TestMarksAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	want := Mark{Seq: 7, Hash: strings.Repeat("0a", 32)}
	got, err := ParseMark(want.String())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"", "7", "7:", ":" + want.Hash, "0:" + want.Hash, "-1:" + want.Hash, "7:" + want.Hash[1:], "7:" + strings.Repeat("g", 64)} {
		if _, err := ParseMark(bad); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
