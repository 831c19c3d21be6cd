package sendpack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/pktline"
)

// offer is what the server of an empty repository can do: gitprotocol-pack and
// gitprotocol-capabilities of git's documentation say what each word means.
type offer struct{ capabilities []string }

// readOffer reads the advertisement of git-receive-pack. It is ErrUnfit unless
// it lists nothing.
func readOffer(r io.Reader) (offer, error) {
	in := bufio.NewReader(r)
	line, kind, err := pktline.ReadText(in)
	if err == nil && strings.HasPrefix(line, "# service=") {
		if _, kind, err = pktline.ReadText(in); err == nil && kind == pktline.Flush {
			line, kind, err = pktline.ReadText(in)
		}
	}
	if err != nil {
		return offer{}, err
	}
	first, capabilities, _ := strings.Cut(line, "\x00")
	if object, name, _ := strings.Cut(first, " "); kind != pktline.Data || strings.Trim(object, "0") != "" || name != "capabilities^{}" {
		return offer{}, fmt.Errorf("it lists %.60q: %w", first, ErrUnfit)
	}
	if line, kind, err = pktline.ReadText(in); err != nil || kind != pktline.Flush {
		return offer{}, errors.Join(fmt.Errorf("it lists %.60q: %w", line, ErrUnfit), err)
	}
	return offer{strings.Fields(capabilities)}, nil
}

func (o offer) has(capability string) bool { return slices.Contains(o.capabilities, capability) }

// hash is how the server names objects.
func (o offer) hash() string {
	for _, c := range o.capabilities {
		if format, ok := strings.CutPrefix(c, "object-format="); ok {
			return format
		}
	}
	return "sha1"
}

// commands words the creation of refs. A server refuses to create what is there
// by then. It is ErrUnfit when the server could not take the pack, or not tell
// of it.
func (o offer) commands(refs []lsrefs.Ref) (string, error) {
	for _, needed := range []string{"report-status", "ofs-delta"} {
		if !o.has(needed) {
			return "", fmt.Errorf("the server does not offer %s: %w", needed, ErrUnfit)
		}
	}
	capabilities := " report-status"
	if o.has("side-band-64k") {
		capabilities += " side-band-64k"
	}
	if o.hash() != "sha1" {
		capabilities += " object-format=" + o.hash()
	}
	capabilities = "\x00" + capabilities + " agent=git/lorry"
	var b strings.Builder
	for _, ref := range refs {
		if want := map[string]int{"sha1": 40, "sha256": 64}[o.hash()]; len(ref.Object) != want {
			return "", fmt.Errorf("the server names objects by %s: %w", o.hash(), ErrUnfit)
		}
		b.WriteString(pktline.Line(strings.Repeat("0", len(ref.Object)) + " " + ref.Object + " " + ref.Name + capabilities))
		capabilities = ""
	}
	b.WriteString("0000")
	return b.String(), nil
}

// report reads the answer to the end: what the server says to people may come
// last.
func (o offer) report(r io.Reader, messages io.Writer) (Report, error) {
	in := bufio.NewReader(r)
	var rest *bands
	if o.has("side-band-64k") {
		rest = &bands{in: in, messages: messages}
		in = bufio.NewReader(rest)
	}
	report := Report{Refs: make(map[string]string)}
	line, kind, err := pktline.ReadText(in)
	unpack, isUnpack := strings.CutPrefix(line, "unpack ")
	if err != nil || kind != pktline.Data || !isUnpack {
		return Report{}, fmt.Errorf("the report begins with %.60q: %w", line, errors.Join(pktline.ErrFormat, err))
	}
	if unpack != "ok" {
		report.Unpack = unpack
	}
	for {
		line, kind, err := pktline.ReadText(in)
		if err != nil {
			return Report{}, fmt.Errorf("the report breaks off: %w", err)
		}
		if kind == pktline.Flush {
			break
		}
		word, rest, _ := strings.Cut(line, " ")
		name, reason, _ := strings.Cut(rest, " ")
		switch {
		case word == "ok" && reason == "":
		case word == "ng" && reason != "":
		case word == "ng":
			reason = "it gives no reason"
		default:
			return Report{}, fmt.Errorf("the report has %.60q: %w", line, pktline.ErrFormat)
		}
		report.Refs[name] = reason
	}
	if rest != nil {
		_, _ = io.Copy(io.Discard, in) // what became of the refs is known
	}
	return report, nil
}

// bands reads the first of the bands of an answer, which is the report, and
// passes the second on, which is for people.
type bands struct {
	in       *bufio.Reader
	messages io.Writer
	left     []byte
}

// Read implements io.Reader.
func (b *bands) Read(p []byte) (int, error) {
	for len(b.left) == 0 {
		data, kind, err := pktline.Read(b.in)
		switch {
		case err != nil:
			return 0, err
		case kind != pktline.Data:
			return 0, io.EOF
		case len(data) == 0:
			return 0, pktline.ErrFormat
		case data[0] == 1:
			b.left = data[1:]
		case data[0] == 2:
			_, _ = b.messages.Write(data[1:]) // nobody who watches can end an import
		case data[0] == 3:
			_, _ = b.messages.Write(data[1:])
			return 0, fmt.Errorf("the server gave up: %.200q", data[1:])
		default:
			return 0, pktline.ErrFormat
		}
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}
