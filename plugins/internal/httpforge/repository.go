package httpforge

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Moved says that a path only leads on to another one: forges follow the old
// paths of a renamed repository. That is told, since a mirror goes by path.
type Moved struct {
	What     string // the forge's word for a repository
	From, To string
}

// Error implements error.
func (e *Moved) Error() string {
	return e.What + " " + strconv.Quote(e.From) + " is " + strconv.Quote(e.To) + " now"
}

// Missing gives the error for a path that an Upstream Host has no more.
func (e *Moved) Missing(path string) error {
	return sdk.WithHint(&sdk.Error{Kind: sdk.NotFound, Fact: e.Error(), Subject: path}, "the next listing of the host gives the new path")
}

// TellMoved says what to do about a repository of a Downstream Host that has
// another path now. Other errors are left as they are.
func TellMoved(err error) error {
	var moved *Moved
	if !errors.As(err, &moved) {
		return err
	}
	return sdk.WithHint(&sdk.Error{Kind: sdk.Conflict, Fact: moved.Error() + "; the old path only leads there", Subject: moved.From},
		fmt.Sprintf("rename the %[1]s back, change the Lorry's path, or make a new %[1]s at the old path", moved.What))
}

// Gone reports whether err says that nothing has the path that was asked for.
func Gone(err error) bool {
	var moved *Moved
	return IsNotFound(err) || errors.As(err, &moved)
}

// About names the path that an error is about.
func About(err error, path string) error {
	e, ok := err.(*sdk.Error) //nolint:errorlint // only the outermost can be changed
	if !ok || e.Subject != "" {
		return err
	}
	named := *e
	named.Subject = path
	return &named
}

// CheckHead refuses a default branch that is not the full ref of a branch.
func CheckHead(want sdk.Want) error {
	if want.Head != "" && Branch(want.Head) == "" {
		return &sdk.Error{Kind: sdk.Invalid, Fact: fmt.Sprintf("the default branch %q is not the full ref of a branch", want.Head), Subject: want.Path}
	}
	return nil
}

// Visibility gives the visibility for something new: what is wanted of the
// repository, or else what the settings say.
func Visibility(want sdk.Want, settings string) sdk.Visibility {
	if want.Visibility != sdk.VisibilityUnknown {
		return want.Visibility
	}
	return sdk.Visibility(settings)
}

// Describe adds the description to what is to be changed, unless it is none or
// the one that is there. limit is what the forge takes, in runes.
func Describe(changes map[string]any, want sdk.Want, is string, limit int) {
	if d := Description(want.Description, limit); d != "" && d != Description(is, limit) {
		changes["description"] = d
	}
}
