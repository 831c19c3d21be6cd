package area

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// healthName is the file that says when what was last made sure of.
const healthName = "checked"

// Health says when what was last made sure of.
type Health struct {
	// Verified is when downstream was last seen to have what upstream has.
	Verified time.Time
	// Checked is when the repository was last seen to be whole, and packed.
	Checked time.Time
	// Digest is that of what upstream had at the last verified push of a run by
	// hand, or "": the queue has its own.
	Digest string
	// Size is what the Lorry's directory took then, in bytes.
	Size int64
}

// ReadHealth reads what is known of the Lorry's directory dir. It needs no
// lock. There is nothing to know of one that is not there.
func ReadHealth(dir string) (h Health, known bool) {
	text, err := os.ReadFile(dir + "/" + healthName)
	if err != nil {
		return Health{}, false
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == "size" {
			h.Size, _ = strconv.ParseInt(value, 10, 64) // 0 says nothing
			continue
		}
		if key == "digest" {
			h.Digest = value
			continue
		}
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			continue
		}
		switch key {
		case "verified":
			h.Verified = at
		case "checked":
			h.Checked = at
		}
	}
	return h, true
}

// SetHealth records it. A loss of power may lose the record, which only means
// that something is made sure of once more.
func (a *Area) SetHealth(h Health) error {
	var b strings.Builder
	if h.Digest != "" {
		fmt.Fprintf(&b, "digest %s\n", h.Digest)
	}
	fmt.Fprintf(&b, "verified %s\nchecked %s\nsize %d\n", h.Verified.UTC().Format(time.RFC3339), h.Checked.UTC().Format(time.RFC3339), h.Size)
	return write(a.Path(healthName), b.String(), false)
}

// RescuedName is a file in a repository that was set aside: what could be saved
// from it has been.
const RescuedName = "lorry-rescued"

// FailedCopies are the directories of repositories that were set aside, the
// newest first.
func (a *Area) FailedCopies() []string {
	entries, err := os.ReadDir(a.Dir)
	if err != nil {
		return nil
	}
	var list []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), failPrefix) {
			list = append([]string{a.Path(e.Name())}, list...)
		}
	}
	return list
}

// errKept says that a directory holds what is nowhere else.
var errKept = errors.New("it holds old tips that are nowhere else")
