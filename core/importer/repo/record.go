package repo

import (
	"encoding/json"
	"os"
)

// ReadRecord reads what WriteRecord wrote into v, and reports whether it was
// there and whole. Otherwise v may be half filled.
func ReadRecord(path string, v any) bool {
	text, err := os.ReadFile(path)
	return err == nil && json.Unmarshal(text, v) == nil
}

// WriteRecord writes a file with what a source has to know the next time, whole
// or not at all: until it is, it has the name that git's own half-written files
// have, so that it is swept away with them.
func WriteRecord(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".lock", text, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".lock", path)
}
