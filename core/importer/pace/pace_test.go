package pace

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// trickle brings one byte at a time, with a pause before each.
type trickle struct {
	ctx   context.Context
	pause time.Duration
	left  int
}

func (t *trickle) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(t.pause):
	case <-t.ctx.Done():
		return 0, context.Cause(t.ctx)
	}
	t.left--
	p[0] = 'x'
	return 1, nil
}

func TestWatch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pause time.Duration
		bytes int
		slow  bool
	}{
		"nothing comes":                 {time.Hour, 1, true},
		"one byte a second":             {time.Second, 1000, true},
		"one byte before each deadline": {59 * time.Second, 1000, true},
		"just enough":                   {time.Millisecond, 200_000, false},
		"slow and short":                {time.Second, 59, false},
		"nothing":                       {0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, w := Least{Rate: 900, Over: time.Minute}.Start(t.Context())
				defer w.Stop()
				n, err := io.Copy(io.Discard, w.Reader(&trickle{ctx, test.pause, test.bytes}))
				if errors.Is(err, ErrSlow) != test.slow || !test.slow && (err != nil || n != int64(test.bytes)) {
					t.Errorf("%d bytes, %v", n, err)
				}
				if test.slow && !strings.Contains(err.Error(), "less than 900 bytes a second came for 1m0s") {
					t.Error(err)
				}
			})
		})
	}
}

// TestReaderThatIsBusy: whoever reads may take his time, and after the end.
func TestReaderThatIsBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, w := Least{}.Start(t.Context())
		defer w.Stop()
		in := w.Reader(iotest.OneByteReader(strings.NewReader("abc")))
		for range 3 {
			<-time.After(time.Hour)
			if _, err := in.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := in.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		if ctx.Err() != nil {
			t.Error(context.Cause(ctx))
		}
	})
}
