// Package audit holds what the audit is: one entry for each change that
// somebody asked for, and the chain of hashes that ties each entry to all
// before it, so that one which is changed, removed or moved is noticed.
//
// It must not know who stores the entries or who asks for them, and no entry
// may hold a credential.
package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lorry-controller/lorry-controller/core"
)

// Entry is one row of the audit.
type Entry struct {
	// Seq counts from 1 without a gap.
	Seq int64
	// At is to the microsecond, in UTC.
	At time.Time
	// Who is a token's name and id, a certificate's name, "loopback", or the
	// user of the core's own machine.
	Who string
	// From is an address, or "offline" for what was done without the API.
	From string
	// Action is the route, or the command that was run offline.
	Action string
	// Subject is what it was done to, such as path=a/b, without secrets.
	Subject string
	// Was and Became say how the subject was before and after.
	Was, Became string
	// Result is "ok", or the kind of error that the call ended with.
	Result string
	// Hash is Sum of this entry and the hash before it, in hex.
	Hash string
}

// Sum gives the hash that belongs to the entry behind one with the hash
// previous; that is "" for the first. Each part is written with its length, so
// that no two entries read the same.
func (e Entry) Sum(previous string) string {
	h := sha256.New()
	for _, part := range []string{
		"lorry-audit-1", previous, strconv.FormatInt(e.Seq, 10), strconv.FormatInt(e.At.UnixMicro(), 10),
		e.Who, e.From, e.Action, e.Subject, e.Was, e.Became, e.Result,
	} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Mark names one place of the chain: a row and its hash. The zero Mark is
// before the first row.
type Mark struct {
	Seq  int64
	Hash string
}

// String is the form that people write down and ParseMark reads.
func (m Mark) String() string { return strconv.FormatInt(m.Seq, 10) + ":" + m.Hash }

// ParseMark reads SEQ:HASH.
func ParseMark(text string) (Mark, error) {
	number, hash, _ := strings.Cut(text, ":")
	seq, err := strconv.ParseInt(number, 10, 64)
	raw, hashErr := hex.DecodeString(hash)
	if err != nil || hashErr != nil || seq < 1 || len(raw) != sha256.Size {
		return Mark{}, &core.Error{
			Kind: core.KindInvalid, Fact: "a mark of the audit has the form NUMBER:HASH",
			Hint: "copy it as audit verify printed it",
		}
	}
	return Mark{Seq: seq, Hash: strings.ToLower(hash)}, nil
}

// Ends are the two ends of the chain as the STATEDB knows them.
type Ends struct {
	Last    Mark // the last row
	Removed Mark // the last one that was removed because of its age
}

// Check follows a chain row by row. Add each row in order, then call End.
type Check struct {
	ends  Ends
	known []Mark // marks from elsewhere that the chain must pass through
	at    Mark
}

// NewCheck begins behind the rows that were removed. known are marks that were
// written down at another time: a chain that was made anew does not have them.
func NewCheck(ends Ends, known ...Mark) *Check {
	c := &Check{ends: ends, known: slices.Clone(known), at: ends.Removed}
	if ends.Last.Seq > 0 {
		c.known = append(c.known, ends.Last)
	}
	return c
}

// Add takes the next row; an error says what is wrong with the chain there.
func (c *Check) Add(e Entry) error {
	switch {
	case e.Seq <= c.at.Seq:
		return broken("row %d stands behind row %d: rows were put in another order, or twice", e.Seq, c.at.Seq)
	case e.Seq != c.at.Seq+1:
		return broken("rows %d to %d are missing", c.at.Seq+1, e.Seq-1)
	case e.Hash != e.Sum(c.at.Hash):
		return broken("row %d was changed, or the one before it", e.Seq)
	}
	c.at = Mark{Seq: e.Seq, Hash: e.Hash}
	return c.compare()
}

func (c *Check) compare() error {
	for _, mark := range c.known {
		if mark.Seq == c.at.Seq && mark.Hash != c.at.Hash {
			if mark == c.ends.Last {
				return broken("row %d is not the one that was written last: the rows up to it were made anew", mark.Seq)
			}
			return broken("row %d is not the one that was noted down: the rows up to it were made anew", mark.Seq)
		}
	}
	return nil
}

// End says whether the chain ends where it should. Rows behind the last one
// that was known at the beginning were added meanwhile.
func (c *Check) End() error {
	for _, mark := range c.known {
		switch {
		case mark == c.ends.Last && mark.Seq > c.at.Seq:
			return broken("rows %d to %d are missing at the end", c.at.Seq+1, mark.Seq)
		case mark.Seq > c.at.Seq:
			return broken("row %d, which was noted down, is missing: the audit ends with row %d", mark.Seq, c.at.Seq)
		}
	}
	return nil
}

// At is the last row that was found right.
func (c *Check) At() Mark { return c.at }

func broken(format string, args ...any) error {
	return &core.Error{
		Kind: core.KindConflict, Fact: "the audit was tampered with: " + fmt.Sprintf(format, args...),
		Hint: "compare with a backup of the STATEDB; nothing of this program changes rows of the audit",
	}
}

// maxText bounds each part of an entry, in bytes.
const maxText = 600

// Clean makes every part of the entry fit for one line and for any database:
// no control characters, no broken UTF-8, not endless.
func (e *Entry) Clean() {
	e.At = e.At.UTC().Truncate(time.Microsecond)
	for _, part := range []*string{&e.Who, &e.From, &e.Action, &e.Subject, &e.Was, &e.Became, &e.Result} {
		text := strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return '\uFFFD'
			}
			return r
		}, strings.ToValidUTF8(*part, "\uFFFD"))
		if len(text) > maxText {
			text = strings.ToValidUTF8(text[:maxText], "") + "…"
		}
		*part = text
	}
}

// verifyPage is how many rows Verify asks for at a time.
const verifyPage = 1000

// Verify checks a whole chain that read gives page by page: the rows behind
// after, oldest first, at most limit. ends must have been read before.
func Verify(ends Ends, known []Mark, read func(after int64, limit int) ([]Entry, error)) (*Check, error) {
	check := NewCheck(ends, known...)
	for {
		page, err := read(check.at.Seq, verifyPage)
		if err != nil {
			return check, err
		}
		for _, e := range page {
			if err := check.Add(e); err != nil {
				return check, err
			}
		}
		if len(page) == 0 {
			return check, check.End()
		}
	}
}
