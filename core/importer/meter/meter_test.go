package meter

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMeter(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	clock := func() time.Time { return now }
	var out bytes.Buffer
	revisions := Count(&out, clock, "Converting revisions", 200)
	revisions.Set(1)
	for range 100 { // too soon
		revisions.Add(1)
	}
	now = now.Add(time.Second)
	revisions.Set(150)
	download := Bytes(&out, clock, "Downloading", 4<<20)
	download.Add(512)
	now = now.Add(2 * time.Second)
	_, _ = download.Write(make([]byte, 3<<20-512))
	endless := Bytes(&out, clock, "Downloading", -1)
	now = now.Add(time.Second)
	endless.Add(5 << 30)
	want := []string{
		"Converting revisions:   0% (1/200)", "Converting revisions:  75% (150/200)", "Downloading:   0% (512/4194304), 512 bytes",
		"Downloading:  75% (3145728/4194304), 3.00 MiB | 1.50 MiB/s", "Downloading: 5368709120, 5.00 GiB | 5.00 GiB/s", "",
	}
	if diff := cmp.Diff(want, strings.Split(out.String(), "\r")); diff != "" {
		t.Error(diff)
	}
	Count(nil, nil, "Nobody looks", 0).Add(1)
}
