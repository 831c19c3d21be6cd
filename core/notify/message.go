package notify

import (
	"fmt"
	"strings"
	"time"
)

// State says what became of a group.
type State string

// The states of a group in a message.
const (
	Began State = "began"
	Grew  State = "grew" // there are further ones since it was last told
	Over  State = "over"
)

// Message is what people are told, in one lane at one time. It is also the JSON
// that a webhook gets.
type Message struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Lane    Lane      `json:"lane"`
	Subject string    `json:"subject"` // one line
	News    []News    `json:"news"`
	// Left counts the groups that are not named.
	Left int `json:"left,omitempty"`
	// Test is set in a message that somebody sent to try the target.
	Test bool `json:"test,omitempty"`
}

// News is one group in a message.
type News struct {
	State State  `json:"state"`
	Host  string `json:"host,omitempty"`
	Cause string `json:"cause,omitempty"`
	// Count is how many are open now or, of a group that is over, were told at
	// most; New is how many were not told before.
	Count int       `json:"count"`
	New   int       `json:"new,omitempty"`
	Since time.Time `json:"since"`
	// Sample names some of them.
	Sample []Item `json:"sample,omitempty"`
}

// Item is one subject, such as a Lorry.
type Item struct {
	Subject string `json:"subject"`
	Detail  string `json:"detail,omitempty"`
}

func newMessage(id string, now time.Time, lane Lane, news []News) Message {
	m := Message{ID: id, At: now, Lane: lane, News: news}
	m.Subject = subject(lane, news)
	if len(news) > maxGroups {
		m.News, m.Left = news[:maxGroups], len(news)-maxGroups
	}
	return m
}

// TestMessage is what is sent to try a target.
func TestMessage(id string, now time.Time) Message {
	return Message{ID: id, At: now.UTC(), Lane: "test", Subject: "This is a test: messages from Lorry Controller arrive here", Test: true}
}

// subject sums the news up in one line.
func subject(lane Lane, news []News) string {
	var parts []string
	for _, state := range []State{Began, Grew, Over} {
		count, groups := 0, 0
		where, cause := "", ""
		for _, n := range news {
			if n.State != state {
				continue
			}
			count, groups = count+n.Count, groups+1
			where, cause = n.Host, n.Cause
		}
		if groups == 0 {
			continue
		}
		part := what(lane, state, count)
		switch {
		case groups > 1:
			part += fmt.Sprintf(" (%d causes)", groups)
		case where != "":
			part += " at " + where
		}
		if groups == 1 && cause != "" && state != Over {
			part += ": " + cause
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

// what names the things of a lane, in a number.
func what(lane Lane, state State, count int) string {
	one := count == 1
	words := map[Lane][4]string{
		Failures:    {"1 Lorry fails", "%d Lorries fail", "1 Lorry works again", "%d Lorries work again"},
		Approvals:   {"1 change waits for an approval", "%d changes wait for an approval", "1 change waits no longer", "%d changes wait no longer"},
		Staleness:   {"1 mirror is out of date", "%d mirrors are out of date", "1 mirror is up to date again", "%d mirrors are up to date again"},
		Adapters:    {"1 adapter is broken", "%d adapters are broken", "1 adapter works again", "%d adapters work again"},
		Credentials: {"the credentials of 1 host end soon", "the credentials of %d hosts end soon", "the credentials of 1 host were renewed", "the credentials of %d hosts were renewed"},
		Disk:        {"the disk is nearly full", "%d disks are nearly full", "the disk has room again", "%d disks have room again"},
	}[lane]
	i := 0
	if state == Over {
		i = 2
	}
	if !one {
		return fmt.Sprintf(words[i+1], count)
	}
	return words[i]
}

// Text is the message for a person to read.
func (m Message) Text() string {
	var b strings.Builder
	b.WriteString(m.Subject + ".\n")
	for _, n := range m.News {
		b.WriteString("\n" + what(m.Lane, n.State, n.Count))
		if n.Host != "" {
			b.WriteString(" at " + n.Host)
		}
		if n.Cause != "" {
			b.WriteString(": " + n.Cause)
		}
		if n.State == Grew {
			fmt.Fprintf(&b, " (%d more than were told)", n.New)
		}
		fmt.Fprintf(&b, ", since %s\n", n.Since.UTC().Format("2006-01-02 15:04 UTC"))
		for _, item := range n.Sample {
			b.WriteString("  " + item.Subject)
			if item.Detail != "" {
				b.WriteString(": " + item.Detail)
			}
			b.WriteByte('\n')
		}
		if left := max(n.Count, n.New) - len(n.Sample); left > 0 && len(n.Sample) > 0 {
			fmt.Fprintf(&b, "  and %d more\n", left)
		}
	}
	if m.Left > 0 {
		fmt.Fprintf(&b, "\nAnd %d further causes; the status page lists all.\n", m.Left)
	}
	return b.String()
}
