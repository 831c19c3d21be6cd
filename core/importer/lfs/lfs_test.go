package lfs

import (
	"bufio"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const oid = "290f493c44f5d63d06b374d0a5abd292fae38b92cab2fae5efefe1b0e9347f56" // of "some content"

func TestParsePointer(t *testing.T) {
	t.Parallel()
	good := "version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 12\n"
	for text, want := range map[string]bool{
		good:                           true,
		strings.TrimSuffix(good, "\n"): true,
		strings.Replace(good, "\noid", "\next-0-case sha256:"+oid+"\noid", 1):                     true,
		strings.Replace(good, "git-lfs.github", "hawser.github", 1):                               true,
		strings.Replace(good, "https://git-lfs.github.com/spec/v1", "http://git-media.io/v/2", 1): true,
		strings.Replace(good, "spec/v1", "spec/v9", 1):                                            false,
		strings.Replace(good, "sha256:", "sha1:", 1):                                              false,
		strings.Replace(good, "size 12", "size -1", 1):                                            false,
		strings.Replace(good, "size 12", "size 99999999999999999999", 1):                          false,
		strings.Replace(good, oid, strings.ToUpper(oid), 1):                                       false,
		strings.Replace(good, oid, "../../../../etc/passwd", 1):                                   false,
		strings.Replace(good, "size 12\n", "", 1):                                                 false,
		good + strings.Repeat("x-key value\n", 100):                                               false,
		"version 3 of the manual":                                                                 false,
		"":                                                                                        false,
	} {
		p, ok := ParsePointer([]byte(text))
		if ok != want || ok && (p.OID != oid || p.Size != 12) {
			t.Errorf("%q: got %+v, %v", text, p, ok)
		}
	}
}

// TestPointersAsGitLFSReadsThem: what git-lfs itself takes has an object, which
// has to be brought.
func TestPointersAsGitLFSReadsThem(t *testing.T) {
	t.Parallel()
	gittest.Require(t, "git-lfs")
	version, object, size := "version "+versions()[0], "oid sha256:"+oid, "size 12"
	for _, text := range []string{
		version + "\n" + object + "\n" + size,
		version + "\r\n" + object + "\r\n" + size + "\r\n",
		"\n\n" + version + "\n" + object + "\n" + size + "\n",
		" \t" + version + "\n" + object + "\n" + size + "\n",
		version + "\n\n" + object + "\n\r\n" + size + "\n",
		version + "\n" + object + "\n" + size + " \n\n\n",
		version + "\n" + object + "\nsize 012\v\f",
		version + "\r\r\n" + object + "\n" + size,
		version + "\n \n" + object + "\n" + size,
		version + "\n" + object + "\n" + size + " \n\nx-key value",
	} {
		cmd := exec.Command("git", "lfs", "pointer", "--check", "--stdin")
		cmd.Env, cmd.Dir, cmd.Stdin = gittest.Env(), t.TempDir(), strings.NewReader(text)
		var exit *exec.ExitError
		out, err := cmd.CombinedOutput()
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		p, ok := ParsePointer([]byte(text))
		if ok != (err == nil) || ok && (p.OID != oid || p.Size != 12) {
			t.Errorf("%q: got %+v, %v; git-lfs says %v %s", text, p, ok, err, out)
		}
	}
}

func FuzzParsePointer(f *testing.F) {
	f.Add("\nversion https://git-lfs.github.com/spec/v1\r\n\r\noid sha256:" + oid + "\r\nsize 12 \r\n")
	f.Add("version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 12\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := ParsePointer([]byte(text))
		if !ok {
			return
		}
		again, ok := ParsePointer([]byte(p.Text()))
		if diff := cmp.Diff(p, again); !ok || diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	})
}

func FuzzReadObjects(f *testing.F) {
	f.Add("blob 3 a file\nabc\ncommit 0 \n\nx missing\n")
	f.Add("blob 99999999999999999999\n")
	f.Fuzz(func(t *testing.T, text string) {
		_ = readObjects(bufio.NewReader(strings.NewReader(text)), func(h header, r io.Reader) error {
			n, err := io.Copy(io.Discard, r)
			if err != nil || n > h.size || n > int64(len(text)) {
				t.Errorf("%d bytes of %+v, %v", n, h, err)
			}
			return nil
		})
	})
}

func FuzzReadTree(f *testing.F) {
	const ours = "100644 .gitattributes\x0001234567890123456789"
	f.Add("100644 a\x0001234567890123456789" + ours)
	f.Add(ours[:30])
	f.Add("100644 " + strings.Repeat("x", 5000) + " .gitattributes\x0001234567890123456789")
	f.Fuzz(func(t *testing.T, text string) {
		found := make(map[string]bool)
		err := readTree(bufio.NewReader(strings.NewReader(text)), 20, found)
		if n := strings.Count(text, " .gitattributes\x00"); len(found) > n {
			t.Errorf("%d names, found %v", n, found)
		}
		if err != nil {
			return
		}
		err = readTree(bufio.NewReader(strings.NewReader(text+ours)), 20, found)
		if err != nil || !found[hex.EncodeToString([]byte(ours[len(ours)-20:]))] {
			t.Errorf("found %v, %v", found, err)
		}
	})
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][3]string{
		"https://example.com:8443/a/b":       {"https://example.com:8443/a/b.git/info/lfs", "example.com", ""},
		"https://example.com/a/b.git/":       {"https://example.com/a/b.git/info/lfs", "example.com", ""},
		"git://example.com/a.git":            {"https://example.com/a.git/info/lfs", "example.com", ""},
		"ssh://git@example.com:2222/a/b":     {"https://example.com/a/b.git/info/lfs", "example.com", "git@example.com 2222 /a/b"},
		"git@example.com:a/b.git":            {"https://example.com/a/b.git/info/lfs", "example.com", "git@example.com  a/b.git"},
		"https://example.com/a?x=1#fragment": {"https://example.com/a.git/info/lfs", "example.com", ""},
	} {
		base, host, ssh, err := discover(address)
		got := [3]string{base, host, ""}
		if ssh != nil {
			got[2] = ssh.host + " " + ssh.port + " " + ssh.path
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", address, err, diff)
		}
	}
	if _, _, _, err := discover("sftp://example.com/x"); err == nil {
		t.Error("sftp has a batch API")
	}
}

// TestStoreKeepsWholeObjectsAlone: whatever breaks while an object comes, there
// is none afterwards, and nothing is left.
func TestStoreKeepsWholeObjectsAlone(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	p := Pointer{OID: oid, Size: 12}
	for name, test := range map[string]struct {
		from io.Reader
		want func(error) bool
	}{
		"whole":    {strings.NewReader("some content"), func(err error) bool { return err == nil }},
		"half":     {strings.NewReader("some"), func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		"longer":   {strings.NewReader("some content and more"), isWrong},
		"other":    {strings.NewReader("SOME CONTENT"), isWrong},
		"breaking": {io.MultiReader(strings.NewReader("some"), iotest.ErrReader(broken)), func(err error) bool { return errors.Is(err, broken) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := OpenStore(t.TempDir())
			err := s.Put(p, test.from)
			if !test.want(err) || s.Has(p) != (err == nil) {
				t.Errorf("got %v, there: %v", err, s.Has(p))
			}
			left, err := os.ReadDir(s.dir + "/tmp")
			if err != nil || len(left) > 0 {
				t.Errorf("left %v, %v", left, err)
			}
			if err := os.WriteFile(s.dir+"/tmp/"+tempPrefix+"dead", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := s.Sweep(); err != nil {
				t.Error(err)
			}
			if left, _ := os.ReadDir(s.dir + "/tmp"); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func isWrong(err error) bool {
	var wrong *wrongError
	return errors.As(err, &wrong)
}

func TestDiskFaultsAreOurs(t *testing.T) {
	t.Parallel()
	a := &api{side: Side{Place: "upstream"}}
	err := a.written(t.Context(), Pointer{OID: oid}, os.ErrDeadlineExceeded)
	if !strings.HasPrefix(err.Error(), "upstream: ") {
		t.Errorf("got %v", err)
	}
	if e := fault("upstream", core.FailLFS, "h", "x"); e.Cause != "upstream: x" {
		t.Errorf("got %+v", e)
	}
}
