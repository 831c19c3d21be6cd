package push

import (
	"bytes"
	"crypto/sha1"
	"testing"

	"pgregory.net/rapid"
)

// The checksum at the end is told from the rest however the bytes come.
func TestEnding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), sumSize, 200).Draw(rt, "text")
		sum := sha1.Sum(text)
		whole := append(bytes.Clone(text), sum[:]...)
		flip := rapid.IntRange(-1, len(whole)-1).Draw(rt, "flip")
		if flip >= 0 {
			whole[flip] ^= 1
		}
		e := &ending{hash: sha1.New()}
		for rest := whole; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "n")
			if written, err := e.Write(rest[:n]); written != n || err != nil {
				rt.Fatalf("%d of %d were written, %v", written, n, err)
			}
			rest = rest[n:]
		}
		got, before := e.sums()
		if flip >= 0 && got != nil {
			rt.Fatalf("byte %d is wrong, and %x was taken", flip, got)
		}
		if flip < 0 && (!bytes.Equal(got, sum[:]) || !bytes.Equal(before, text[len(text)-sumSize:])) {
			rt.Fatalf("got %x after %x", got, before)
		}
	})
	short := &ending{hash: sha1.New()}
	_, _ = short.Write(make([]byte, 2*sumSize-1))
	if sum, _ := short.sums(); sum != nil {
		t.Errorf("got %x of a file that is too short", sum)
	}
}
