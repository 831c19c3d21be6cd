package svnsource

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// tellExternals tells that trunk takes directories of other repositories in,
// which git svn leaves out. It writes what it leaves out into a file of its own.
func (s *Source) tellExternals() {
	f, err := os.Open(filepath.Join(s.Repo.Dir, "svn", trunkRef, "unhandled.log"))
	if err != nil {
		return // it left nothing out
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewReader(f)
	for {
		line, err := in.ReadSlice('\n')
		if bytes.Contains(line, []byte("dir_prop: ")) && bytes.Contains(line, []byte(" svn:externals ")) {
			fmt.Fprintln(s.Out, ".. warning: svn:externals are not followed: what they bring into a checkout is not mirrored")
			return
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}
