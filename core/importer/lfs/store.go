package lfs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Store is the directory in which git-lfs keeps its objects in a repository.
// An object is there whole or not at all.
type Store struct{ dir string }

// OpenStore gives the store of the bare repository in a directory, which is
// made by the first object.
func OpenStore(repository string) Store { return Store{filepath.Join(repository, "lfs")} }

const tempPrefix = "lorry-"

func (s Store) path(oid string) string {
	return filepath.Join(s.dir, "objects", oid[:2], oid[2:4], oid)
}

// Has reports whether an object is there.
func (s Store) Has(p Pointer) bool {
	info, err := os.Lstat(s.path(p.OID))
	return err == nil && info.Mode().IsRegular() && info.Size() == p.Size
}

// Open opens an object for reading.
func (s Store) Open(p Pointer) (*os.File, error) { return os.Open(s.path(p.OID)) }

// Sweep removes what a run that died was writing.
func (s Store) Sweep() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, "tmp"))
	if os.IsNotExist(err) {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			err = os.Remove(filepath.Join(s.dir, "tmp", e.Name()))
		}
		if err != nil {
			return err
		}
	}
	return err
}

// wrongError is that of contents that are not the object's.
type wrongError struct{ text string }

func (e *wrongError) Error() string { return e.text }

// Put writes an object from its contents, which must be exactly it.
func (s Store) Put(p Pointer, r io.Reader) error {
	_, err := s.write(io.LimitReader(r, p.Size+1), func(got Pointer) error {
		switch {
		case got.Size < p.Size:
			return io.ErrUnexpectedEOF
		case got.Size > p.Size:
			return &wrongError{fmt.Sprintf("it is longer than the %d bytes that its pointer says", p.Size)}
		case got.OID != p.OID:
			return &wrongError{"its contents have the checksum " + got.OID}
		}
		return nil
	})
	return err
}

// Add writes an object from contents that are not known yet, and gives what it
// is. check sees it before it is kept.
func (s Store) Add(r io.Reader, check func(Pointer) error) (Pointer, error) { return s.write(r, check) }

func (s Store) write(r io.Reader, check func(Pointer) error) (p Pointer, err error) {
	temp := filepath.Join(s.dir, "tmp")
	if err := os.MkdirAll(temp, 0o755); err != nil {
		return p, err
	}
	f, err := os.CreateTemp(temp, tempPrefix)
	if err != nil {
		return p, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	hash := sha256.New()
	p.Size, err = io.Copy(io.MultiWriter(f, hash), r)
	p.OID = hex.EncodeToString(hash.Sum(nil))
	if err == nil {
		err = check(p)
	}
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return p, err
	}
	path := s.path(p.OID)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return p, err
	}
	return p, os.Rename(f.Name(), path)
}
