package sendpack

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/pktline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	none = strings.Repeat("0", 40)
	one  = strings.Repeat("1", 40)
)

const service = "# service=git-receive-pack\n"

func TestReadOffer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		want       []string
		err        error
	}{
		{"empty", pktline.Line(service) + "0000" + pktline.Line(none+" capabilities^{}\x00report-status ofs-delta\n") + "0000", []string{"report-status", "ofs-delta"}, nil},
		{"a ref", pktline.Line(service) + "0000" + pktline.Line(one+" refs/heads/main\x00report-status\n") + "0000", nil, ErrUnfit},
		{"borrowed objects", pktline.Line(service) + "0000" + pktline.Line(one+" .have\x00report-status\n") + "0000", nil, ErrUnfit},
		{"more after nothing", pktline.Line(service) + "0000" + pktline.Line(none+" capabilities^{}\x00a\n") + pktline.Line(one+" .have\n") + "0000", nil, ErrUnfit},
		{"shallow", pktline.Line(service) + "0000" + pktline.Line(none+" capabilities^{}\x00a\n") + pktline.Line("shallow "+one) + "0000", nil, ErrUnfit},
		{"another version", pktline.Line(service) + "0000" + pktline.Line("version 1\n"), nil, ErrUnfit},
		{"an error", pktline.Line("ERR no\n"), nil, ErrUnfit},
		{"a page", "<html>", nil, pktline.ErrFormat},
		{"cut off", pktline.Line(service) + "0000" + pktline.Line(none+" capabilities^{}\x00a\n"), nil, io.EOF},
		{"nothing", "", nil, io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := readOffer(strings.NewReader(test.text))
			if diff := cmp.Diff(test.want, got.capabilities); diff != "" || !errors.Is(err, test.err) {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	refs := []lsrefs.Ref{{Name: "refs/heads/a", Object: one}, {Name: "refs/heads/b", Object: one}}
	want := pktline.Line(none+" "+one+" refs/heads/a\x00 report-status side-band-64k agent=git/lorry") + pktline.Line(none+" "+one+" refs/heads/b") + "0000"
	got, err := offer{[]string{"report-status", "side-band-64k", "ofs-delta", "object-format=sha1", "atomic"}}.commands(refs)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for _, lacking := range []string{"report-status", "ofs-delta", "report-status ofs-delta object-format=sha256", "report-status ofs-delta object-format=other"} {
		if got, err := (offer{strings.Fields(lacking)}).commands(refs); !errors.Is(err, ErrUnfit) {
			t.Errorf("with %q: %q, %v", lacking, got, err)
		}
	}
}

// answer wraps a report into bands, a few bytes each, with words between.
func answer(report string) string {
	var b strings.Builder
	for part := range strings.SplitAfterSeq(report, "e") {
		b.WriteString(pktline.Line("\x02word\n") + pktline.Line("\x01"+part))
	}
	return b.String() + "0000"
}

func TestReport(t *testing.T) {
	t.Parallel()
	whole := pktline.Line("unpack ok\n") + pktline.Line("ok refs/heads/a\n") + pktline.Line("ng refs/heads/b hook declined (it is late)\n") + pktline.Line("ng refs/heads/c") + "0000"
	banded, plain := offer{[]string{"side-band-64k"}}, offer{}
	want := Report{Refs: map[string]string{"refs/heads/a": "", "refs/heads/b": "hook declined (it is late)", "refs/heads/c": "it gives no reason"}}
	for name, test := range map[string]struct {
		offer offer
		text  string
	}{"in bands": {banded, answer(whole)}, "as it is": {plain, whole}} {
		var words bytes.Buffer
		got, err := test.offer.report(strings.NewReader(test.text), &words)
		if diff := cmp.Diff(want, got); diff != "" || err != nil || strings.Contains(words.String(), "word\n") != (name == "in bands") {
			t.Errorf("%s: %v %q %s", name, err, words.String(), diff)
		}
	}
	if got, err := plain.report(strings.NewReader(pktline.Line("unpack index-pack abnormal exit\n")+pktline.Line("ng refs/heads/a unpacker error")+"0000"), io.Discard); got.Unpack != "index-pack abnormal exit" || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, text := range []string{"", "0000", "<html>", pktline.Line("ok refs/heads/a") + "0000", whole[:len(whole)-4], pktline.Line("unpack ok") + pktline.Line("what refs/heads/a") + "0000", pktline.Line("unpack ok") + pktline.Line("ok refs/heads/a b") + "0000"} {
		for name, test := range map[string]struct {
			offer offer
			text  string
		}{"in bands": {banded, answer(text)}, "as it is": {plain, text}, "no bands": {banded, text}} {
			if got, err := test.offer.report(strings.NewReader(test.text), io.Discard); err == nil {
				t.Errorf("%s: %q gives %+v", name, text, got)
			}
		}
	}
	var words bytes.Buffer
	if _, err := banded.report(strings.NewReader(pktline.Line("\x03out of memory")), &words); err == nil || words.String() != "out of memory" {
		t.Errorf("got %v, %q", err, words.String())
	}
}

func FuzzReadOffer(f *testing.F) {
	f.Add(pktline.Line(service) + "0000" + pktline.Line(none+" capabilities^{}\x00report-status ofs-delta\n") + "0000")
	f.Fuzz(func(t *testing.T, text string) {
		if o, err := readOffer(strings.NewReader(text)); err != nil && len(o.capabilities) > 0 {
			t.Errorf("%v with %v", err, o)
		}
	})
}

func FuzzReport(f *testing.F) {
	f.Add(true, answer(pktline.Line("unpack ok\n")+pktline.Line("ok refs/heads/a\n")+"0000"))
	f.Add(false, pktline.Line("unpack no\n")+pktline.Line("ng refs/heads/a no\n")+"0000")
	f.Fuzz(func(t *testing.T, inBands bool, text string) {
		o := offer{}
		if inBands {
			o.capabilities = []string{"side-band-64k"}
		}
		if got, err := o.report(strings.NewReader(text), io.Discard); err != nil && (got.Unpack != "" || got.Refs != nil) {
			t.Errorf("%v with %+v", err, got)
		}
	})
}
