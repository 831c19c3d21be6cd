package archive

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName bounds a member's name and a link's target, in bytes.
const maxName = 4096

// clean checks the name of a member and gives it as git writes paths. "" is the
// archive's own top.
func clean(name string) (string, error) {
	switch {
	case len(name) > maxName:
		return "", fmt.Errorf("a member's name is longer than %d bytes", maxName)
	case strings.ContainsRune(name, 0):
		return "", fmt.Errorf("the member %q has a NUL byte in its name", name)
	case strings.HasPrefix(name, "/"):
		return "", fmt.Errorf("the member %q has an absolute name", name)
	}
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == ".":
		case part == "..":
			return "", fmt.Errorf("the member %q leads out of the archive", name)
		case isDotGit(part):
			return "", fmt.Errorf("the member %q has a part that git would take for a repository", name)
		default:
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/"), nil
}

// isDotGit knows what some file system takes for ".git": other case, trailing
// dots and blanks and streams (NTFS), its short name, invisible letters (HFS+).
func isDotGit(part string) bool {
	var b strings.Builder
	for _, c := range part {
		if c != utf8.RuneError && !unicode.Is(unicode.Cf, c) {
			b.WriteRune(unicode.ToLower(c))
		}
	}
	plain := b.String()
	if i := strings.IndexAny(plain, ":\\"); i >= 0 {
		plain = plain[:i]
	}
	plain = strings.TrimRight(plain, " .")
	return plain == ".git" || plain == "git~1"
}

// suffixes are what the name of an archive ends in, the longer before the
// shorter.
func suffixes() []string {
	return []string{
		".tar.gz", ".tar.bz2", ".tar.lzma", ".tar.xz", ".tar.zst", ".tar.lz", ".tar.Z",
		".tgz", ".tbz2", ".tbz", ".tlz", ".txz", ".tzst", ".tar", ".zip", ".jar", ".gz", ".bz2", ".xz", ".zst", ".lz", ".Z",
	}
}

// baseName is the file name that an address ends in. Where that is no archive's
// but an earlier part is (…/thing-1.0.tar.gz/download), it is that part.
func baseName(urlPath string) string {
	parts := strings.Split(strings.Trim(urlPath, "/"), "/")
	for i := len(parts) - 1; i >= 0; i-- {
		if trimmed(parts[i]) != parts[i] {
			return parts[i]
		}
	}
	return path.Base("/" + strings.Trim(urlPath, "/"))
}

// trimmed is a file name without its suffix.
func trimmed(name string) string {
	for _, s := range suffixes() {
		if len(name) > len(s) && strings.EqualFold(name[len(name)-len(s):], s) {
			return name[:len(name)-len(s)]
		}
	}
	return name
}

// tagName makes a name that git takes for a tag; nearly all stay as they are.
func tagName(base string) string {
	name := strings.Map(func(c rune) rune {
		if c <= ' ' || c == 0x7f || strings.ContainsRune("~^:?*[\\/@{", c) || c == utf8.RuneError {
			return '_'
		}
		return c
	}, trimmed(base))
	for strings.Contains(name, "..") {
		name = strings.ReplaceAll(name, "..", "._")
	}
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-") {
		name = "_" + name[1:]
	}
	if strings.HasSuffix(name, ".") || strings.HasSuffix(name, ".lock") {
		name += "_"
	}
	if name == "" || name == "_" {
		name = "archive"
	}
	return name
}

// upper437 are the characters 128 to 255 of IBM's code page 437, which names in
// a zip archive are in unless it says otherwise (PKWARE's APPNOTE.TXT, D.1).
const upper437 = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀" +
	"αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0"

// codePage437 gives a name in UTF-8.
func codePage437(name string) string {
	upper := []rune(upper437)
	var b strings.Builder
	for _, c := range []byte(name) {
		if c < 0x80 {
			b.WriteByte(c)
		} else {
			b.WriteRune(upper[c-0x80])
		}
	}
	return b.String()
}
