package statedb_test

import (
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core/notify"
)

// TestWhatPeopleAreToldAndAClockSetBack sets the clock back after something was
// told, and while a message waits for its next try: neither waits a year.
func TestWhatPeopleAreToldAndAClockSetBack(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newStepped(t, d.url(t))
			was := s.Clock.Now()
			notice := notify.Notice{Lane: notify.Disk, Subject: "full", Detail: "full"}
			s.must(s.DB.ChangeNotices(s.Ctx, notify.Change{Add: []notify.Notice{notice}}))
			groups, _, err := s.DB.NoticeGroups(s.Ctx)
			s.must(err)
			groups[0].ToldAt, groups[0].Tells = was, 1
			s.must(s.DB.ChangeNotices(s.Ctx, notify.Change{
				Groups: groups, Lane: notify.Disk, At: was,
				Messages: []notify.Outgoing{{ID: "1", Target: "hook", Created: was, Next: was.Add(time.Hour)}},
			}))
			s.Clock.Advance(-year)
			s.bury(s.Queue)
			groups, lanes, err := s.DB.NoticeGroups(s.Ctx)
			s.must(err)
			messages, err := s.DB.Outbox(s.Ctx, "hook", 1)
			s.must(err)
			for what, at := range map[string]time.Time{"the group": groups[0].ToldAt, "the lane": lanes[notify.Disk], "the message": messages[0].Next.Add(-time.Hour)} {
				if !at.Equal(s.Clock.Now()) {
					t.Errorf("%s is of a time that comes in %s", what, at.Sub(s.Clock.Now()))
				}
			}
		})
	}
}
