package local

import (
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	manifestName = "manifest.js.gz"
	manifestLock = ".manifest.lock"
	// maxManifest is the largest manifest that is read, unpacked.
	maxManifest = 1 << 30
	// manifestPause is the least time between two manifests. A large one is
	// also written no more than a tenth of the time.
	manifestPause = time.Second
	manifestRetry = 30 * time.Second
)

// entry is a repository in a manifest of grokmirror's format, which others
// write too: what they have put there stays.
// Source of the format: mricon/grokmirror, grokmirror/__init__.py.
type entry struct {
	Description *string  `json:"description"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	Forkgroup   string   `json:"forkgroup,omitempty"`
	Head        string   `json:"head,omitempty"`
	Modified    int64    `json:"modified"`
	Owner       *string  `json:"owner"`
	Reference   *string  `json:"reference"`
	Symlinks    []string `json:"symlinks,omitempty"`
}

// manifest keeps the manifest of the tree up to date. Repositories are noted
// when something happens to them and written soon, many at a time; whoever
// reads the file never sees half of it.
type manifest struct {
	open func() (*os.Root, error)
	log  hclog.Logger
	kick chan struct{}
	end  context.CancelFunc
	done chan struct{}
	// caught is closed once the tree was looked through.
	caught chan struct{}

	mu    sync.Mutex
	dirty map[string]struct{} // directories of repositories
	err   error               // of the last writing

	// Only the writer uses these.
	known map[string]entry // what the file had when it was last read or written
	stamp os.FileInfo      // of that file
	// through is up to when the tree is known, unless all of it was looked
	// through; the file says so by its time.
	through time.Time
}

// startManifest begins to keep the manifest. It looks once, aside, for what has
// happened while nobody kept it.
func startManifest(open func() (*os.Root, error), log hclog.Logger) *manifest {
	ctx, cancel := context.WithCancel(context.Background())
	m := &manifest{open: open, log: log, kick: make(chan struct{}, 1), end: cancel, done: make(chan struct{}), caught: make(chan struct{}), dirty: map[string]struct{}{}}
	go m.run(ctx)
	return m
}

// Close writes what is left and ends.
func (m *manifest) Close() error {
	m.end()
	<-m.done
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// note says that something has happened to a repository.
func (m *manifest) note(dir string) {
	m.later(dir)
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// later has a repository looked at before the next writing.
func (m *manifest) later(dir string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirty[dir] = struct{}{}
}

// trouble gives the error of the last writing, or nil.
func (m *manifest) trouble() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *manifest) run(ctx context.Context) {
	defer close(m.done)
	if err := m.catchUp(ctx); err != nil && ctx.Err() == nil {
		m.log.Warn("can't look through the tree for the manifest", "err", err)
	}
	close(m.caught)
	for {
		begin := time.Now()
		err := m.write()
		pause := max(manifestPause, 10*time.Since(begin))
		if err != nil {
			m.log.Warn("can't write the manifest", "err", err)
			pause = manifestRetry
		}
		m.mu.Lock()
		m.err = err
		m.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		if err == nil {
			select {
			case <-ctx.Done():
			case <-m.kick:
			}
		}
	}
}

// take empties the list of what is to be looked at.
func (m *manifest) take() map[string]struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.dirty
	m.dirty = map[string]struct{}{}
	return taken
}

// write brings the file in line with the noted repositories.
func (m *manifest) write() (err error) {
	dirty := m.take()
	if len(dirty) == 0 && m.stamp != nil {
		return nil
	}
	defer func() {
		if err != nil { // they are still to be written
			m.mu.Lock()
			maps.Copy(m.dirty, dirty)
			m.mu.Unlock()
		}
	}()
	root, err := m.open()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	lock, err := lockManifest(root)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := m.read(root); err != nil {
		return err
	}
	changed := m.stamp == nil // an empty tree has a manifest, too
	for dir := range dirty {
		changed = m.look(root, dir) || changed
	}
	if !changed {
		return nil
	}
	return m.replace(root)
}

// lockManifest keeps other cores from writing the same manifest. The lock goes
// with the file that is given back.
func lockManifest(root *os.Root) (*os.File, error) {
	f, err := root.OpenFile(manifestLock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// look compares one repository with its entry and reports whether that changed.
func (m *manifest) look(root *os.Root, dir string) bool {
	name := "/" + dir
	old, had := m.known[name]
	var refs map[string]string
	if isRepository(root, dir) {
		var readable bool
		if refs, readable = refsOf(root, dir); !readable {
			return false // git alone could tell
		}
	}
	if len(refs) == 0 {
		delete(m.known, name) // a manifest has no empty repositories
		return had
	}
	e := old
	e.Description, e.Fingerprint = nil, fingerprint(refs)
	if text := readDescription(root, dir); text != "" {
		e.Description = &text
	}
	if head := readHead(root, dir); head != "" {
		e.Head = "ref: " + head
	}
	same := had && e.Fingerprint == old.Fingerprint && e.Head == old.Head && text(e.Description) == text(old.Description)
	if same {
		return false
	}
	e.Modified = time.Now().Unix()
	m.known[name] = e
	return true
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// read takes over the file unless it is the one that is known. One that is
// broken is made anew from the tree.
func (m *manifest) read(root *os.Root) error {
	f, err := root.Open(manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		if m.known == nil || m.stamp != nil {
			m.known, m.stamp = map[string]entry{}, nil
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if m.stamp != nil && os.SameFile(m.stamp, info) && m.stamp.ModTime().Equal(info.ModTime()) {
		return nil
	}
	m.known, m.stamp = nil, info
	unpacked, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(io.LimitReader(unpacked, maxManifest)).Decode(&m.known)
	}
	if err != nil || m.known == nil {
		m.log.Warn("the manifest can't be read and is made anew", "err", err)
		m.known = map[string]entry{}
	}
	return nil
}

// replace writes the file aside and moves it into place.
func (m *manifest) replace(root *os.Root) (err error) {
	aside := "." + manifestName + ".tmp-" + rand.Text()
	defer func() {
		if err != nil {
			_ = root.Remove(aside)
		}
	}()
	f, err := root.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(f)
	err = errors.Join(json.NewEncoder(packed).Encode(m.known), packed.Close(), f.Sync())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", manifestName, err)
	}
	if !m.through.IsZero() {
		if err := root.Chtimes(aside, m.through, m.through); err != nil {
			return err
		}
	}
	if err := root.Rename(aside, manifestName); err != nil {
		return err
	}
	m.stamp, err = root.Stat(manifestName)
	return err
}
