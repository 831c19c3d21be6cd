package pktline

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	t.Parallel()
	type line struct {
		Text string
		Kind Kind
	}
	for _, test := range []struct {
		text string
		want []line
		err  error // what reading ends with
	}{
		{Line("one\n") + "0001" + Line("two") + "0000" + "0002", []line{{"one", Data}, {"", Delim}, {"two", Data}, {"", Flush}, {"", End}}, io.EOF},
		{"0004" + "0005\n", []line{{"", Data}, {"", Data}}, io.EOF},
		{"0003", nil, ErrFormat},
		{"<html>", nil, ErrFormat},
		{"00", nil, io.ErrUnexpectedEOF},
		{"<h", nil, ErrFormat},
		{"+008abcd", nil, ErrFormat},
		{"0009abc", nil, io.ErrUnexpectedEOF},
	} {
		in := bufio.NewReader(strings.NewReader(test.text))
		var got []line
		var err error
		for err == nil {
			var l line
			if l.Text, l.Kind, err = ReadText(in); err == nil {
				got = append(got, l)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" || !errors.Is(err, test.err) {
			t.Errorf("%q: %v %s", test.text, err, diff)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("0008abc\n0000")
	f.Add(Line("version 2\n") + "0001" + "0002")
	f.Fuzz(func(t *testing.T, text string) {
		in := bufio.NewReader(strings.NewReader(text))
		for range len(text) + 1 {
			data, kind, err := Read(in)
			if err != nil {
				return
			}
			if kind != Data && data != nil || len(data) > 65531 {
				t.Errorf("%d: %q", kind, data)
			}
		}
		t.Error("the text never ends")
	})
}
