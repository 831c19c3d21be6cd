package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

func TestErrorsKeepKindHintAndCause(t *testing.T) {
	t.Parallel()
	err := WithHint(RetryAfter(Errorf(RateLimited, "slow down: %w", fs.ErrClosed), time.Minute), "wait")
	wrapped := fmt.Errorf("listing: %w", err)
	var e *Error
	if !errors.As(wrapped, &e) || KindOf(wrapped) != RateLimited || e.Hint != "wait" || e.RetryAfter != time.Minute || !errors.Is(wrapped, fs.ErrClosed) {
		t.Errorf("got %#v", e)
	}
	if KindOf(errors.New("x")) != Internal {
		t.Error("an error without a kind is not the adapter's fault")
	}
	plain := errors.New("shared")
	_ = WithHint(plain, "a hint")
	if KindOf(plain) != Internal || plain.Error() != "shared" {
		t.Error("the shared error was changed")
	}
}

func TestEveryKindSurvivesTheWire(t *testing.T) {
	t.Parallel()
	for _, row := range wire.Kinds() {
		err := WithHint(Errorf(Kind(row.Name), "fact \xff\x00\nmore"), "hint\xfe")
		st := status.Convert(statusOf(err))
		if st.Code() != row.Code || st.Message() != "fact \uFFFD more" {
			t.Errorf("%s: code %v, message %q", row.Name, st.Code(), st.Message())
		}
		detail, ok := st.Details()[0].(*adapterv1.ErrorDetail)
		if !ok || detail.GetKind() != row.Kind || detail.GetHint() != "hint\uFFFD" {
			t.Errorf("%s: detail %v", row.Name, detail)
		}
	}
	if len(wire.Kinds()) != len(adapterv1.ErrorKind_name)-1 {
		t.Error("a kind of the contract has no row")
	}
	if got := status.Code(statusOf(fmt.Errorf("x: %w", fs.ErrExist))); got != codes.Internal {
		t.Errorf("an error without a kind has the code %v", got)
	}
}

func TestSecretDoesNotPrint(t *testing.T) {
	t.Parallel()
	type config struct {
		Token Secret
		Deep  map[string]*Secret
	}
	s := NewSecret("hush-hush")
	c := config{s, map[string]*Secret{"a": &s}}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s), fmt.Sprintf("%v %+v %#v", c, c, c), string(raw)} {
		if contains(text, "hush") || contains(text, fmt.Sprintf("%x", "hush")) {
			t.Errorf("printed: %s", text)
		}
	}
}

func contains(text, part string) bool {
	for i := range len(text) - len(part) + 1 {
		if text[i:i+len(part)] == part {
			return true
		}
	}
	return false
}
