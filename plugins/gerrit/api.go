package gerrit

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// project is what is used of Gerrit's ProjectInfo.
type project struct {
	name        string
	Description string            `json:"description"`
	State       string            `json:"state"` // active, readOnly or hidden
	Branches    map[string]string `json:"branches"`
	// More is on the last project of a page when there are more.
	More bool `json:"_more_projects"`
}

// The states of a project; "" is an active one, too.
const (
	active   = "ACTIVE"
	readOnly = "READ_ONLY"
	hidden   = "HIDDEN"
)

// window is a part of the list of all projects, in Gerrit's order. Gerrit
// counts start and count before it looks at type and branches: what those
// leave out makes the window shorter, and may take its mark that there is more
// along.
type window struct {
	start, count int
	// permissionsOnly leaves projects out that may have code.
	permissionsOnly bool
	// branches leaves projects out that have none of these, and tells the
	// commits of those they have.
	branches []string
	// prefix leaves projects out whose name begins differently.
	prefix string
}

// api is how Gerrit is asked: by REST or by ssh. The errors have kinds; those
// of a creation are Conflict when there is such a project already.
type api interface {
	projects(ctx context.Context, w window) ([]project, error)
	project(ctx context.Context, name string) (project, error)
	// head is the default branch, or "" when this way of asking can't tell.
	head(ctx context.Context, name string) (string, error)
	create(ctx context.Context, name, parent, description, head string) error
	setHead(ctx context.Context, name, head string) error
	setDescription(ctx context.Context, name, description string) error
	// setState makes a project read-only or active; its description stays.
	setState(ctx context.Context, p project, state string) error
	version(ctx context.Context) (string, error)
}

// guard is the line before every JSON answer of Gerrit's REST API, which keeps
// browsers from running it as a script.
const guard = ")]}'"

// unguarded gives the JSON after the guard.
func unguarded(r io.Reader) (io.Reader, bool) {
	head := make([]byte, len(guard))
	if n, err := io.ReadFull(r, head); err != nil || string(head[:n]) != guard {
		return nil, false
	}
	return r, true
}

// decodeProjects reads a JSON object of projects by name, in its order.
func decodeProjects(r io.Reader) ([]project, error) {
	dec := json.NewDecoder(r)
	if err := delimiter(dec, '{'); err != nil {
		return nil, err
	}
	var list []project
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, notUnderstood(err)
		}
		name, ok := token.(string)
		if !ok {
			return nil, sdk.Errorf(sdk.Internal, "the list of projects has %v instead of a name", token)
		}
		var p project
		if err := dec.Decode(&p); err != nil {
			return nil, notUnderstood(err)
		}
		p.name = name
		list = append(list, p)
	}
	if err := delimiter(dec, '}'); err != nil {
		return nil, err
	}
	return list, nil
}

func delimiter(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err != nil {
		return notUnderstood(err)
	}
	if token != want {
		return sdk.Errorf(sdk.Internal, "the list of projects has %v where %v belongs", token, want)
	}
	return nil
}

// decodeProjectsOf reads the same of a text; nothing at all is not a list.
func decodeProjectsOf(raw []byte) ([]project, error) { return decodeProjects(bytes.NewReader(raw)) }

func notUnderstood(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // the decoder gives them bare
		return sdk.Errorf(sdk.Unavailable, "the answer broke off")
	}
	return sdk.Errorf(sdk.Internal, "the answer is not the JSON that Gerrit gives: %w", err)
}
