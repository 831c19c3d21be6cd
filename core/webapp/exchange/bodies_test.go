package exchange

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestBodiesOfAnyLengthUpToTheLimitAreReadWhole(t *testing.T) {
	t.Parallel()
	b := NewBodies(1 << 20)
	for _, n := range []int{0, 1, smallBody - 3, smallBody - 2, smallBody - 1, smallBody + bodyPart, 1<<20 - 2, 1<<20 - 1, 1 << 20} {
		text := strings.Repeat("x", n)
		form, err := b.Form(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("a="+text)))
		var tooLong *http.MaxBytesError
		if n+2 > 1<<20 {
			if !errors.As(err, &tooLong) {
				t.Errorf("%d bytes: want it refused, got %v", n, err)
			}
			continue
		}
		if err != nil || form.Get("a") != text {
			t.Errorf("%d bytes: got %d, %v", n, len(form.Get("a")), err)
		}
	}
	if left := b.taken.Load(); left != 0 {
		t.Errorf("%d bytes are never given back", left)
	}
}

// slowBody gives what it has and then waits until it is closed.
type slowBody struct {
	left int
	done chan struct{}
}

func (s *slowBody) Read(p []byte) (int, error) {
	if s.left == 0 {
		<-s.done
		return 0, io.ErrUnexpectedEOF
	}
	n := min(len(p), s.left)
	s.left -= n
	return n, nil
}

func TestManyLongBodiesAtATimeAreRefusedAndShortOnesAreNot(t *testing.T) {
	t.Parallel()
	b := NewBodies(16 << 20)
	done, held := make(chan struct{}), make(chan error, 2)
	for range 2 {
		go func() {
			_, err := b.read(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", &slowBody{left: 12<<20 - smallBody, done: done}))
			held <- err
		}()
	}
	for b.taken.Load() < 23<<20 { // what the two can have
		if _, err := b.read(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("short"))); err != nil {
			t.Fatalf("short: %v", err)
		}
	}
	_, err := b.read(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 4<<20))))
	if core.KindOf(err) != core.KindUnavailable {
		t.Errorf("want the third long one refused, got %v", err)
	}
	close(done)
	for range 2 {
		if err := <-held; err == nil {
			t.Error("half a body was taken for a whole one")
		}
	}
	if left := b.taken.Load(); left != 0 {
		t.Errorf("%d bytes are never given back", left)
	}
}
