package confgit

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// An INTERVAL is a number and a unit; what follows was always ignored.
var intervalForm = regexp.MustCompile(`^\s*([0-9]+)\s*([smhdSMHD]?)(.*)$`)

// ParseInterval reads an INTERVAL: a number and m, h or d (or s, or nothing,
// for seconds), in either case. rest is text behind it that was ignored.
func ParseInterval(text string) (interval time.Duration, rest string, err error) {
	match := intervalForm.FindStringSubmatch(text)
	if match == nil {
		return 0, "", fmt.Errorf("%q is no interval: write a number and m, h or d, such as 6h", text)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		return 0, "", fmt.Errorf("%q is no interval: the number is too large", text)
	}
	unit := time.Second
	switch strings.ToLower(match[2]) {
	case "m":
		unit = time.Minute
	case "h":
		unit = time.Hour
	case "d":
		unit = 24 * time.Hour
	}
	const longest = 100 * 365 * 24 * time.Hour
	if int64(n) > int64(longest/unit) {
		return 0, "", fmt.Errorf("%q is longer than 100 years", text)
	}
	return time.Duration(n) * unit, strings.TrimSpace(match[3]), nil
}

// interval reads the INTERVAL at a key. What can't be read is a problem, and
// the default is used.
func (s *section) interval(key string, otherwise time.Duration) time.Duration {
	v := s.get(key)
	if v == nil {
		s.warn(s.line, key, "is missing; %s is used", nice(otherwise))
		return otherwise
	}
	return s.readInterval(key, v, otherwise)
}

// timeout reads lorry-timeout: seconds, or an INTERVAL.
func (s *section) timeout(otherwise time.Duration) time.Duration {
	v := s.get("lorry-timeout")
	if v == nil {
		return otherwise
	}
	timeout := s.readInterval("lorry-timeout", v, otherwise)
	if timeout <= 0 {
		s.warn(v.line, "lorry-timeout", "must be more than 0; %s is used", nice(otherwise))
		return otherwise
	}
	return timeout
}

func (s *section) readInterval(key string, v *value, otherwise time.Duration) time.Duration {
	if v.kind != textValue && v.kind != numberValue {
		s.warn(v.line, key, "must be an interval such as \"6h\", not %s; %s is used", v, nice(otherwise))
		return otherwise
	}
	interval, rest, err := ParseInterval(v.text)
	if v.kind == numberValue && rest != "" { // half of a number is another one
		err = fmt.Errorf("%s is no interval: write whole seconds, or a number and m, h or d in quotes, such as \"6h\"", v.text)
	}
	if err != nil {
		s.warn(v.line, key, "%v; %s is used", err, nice(otherwise))
		return otherwise
	}
	if rest != "" {
		s.warn(v.line, key, "%q behind the interval is ignored; %s is used", rest, nice(interval))
	}
	return interval
}

// nice writes an interval as an INTERVAL.
func nice(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d != 24*time.Hour && d >= unit.size && d%unit.size == 0 {
			return fmt.Sprintf("%d%s", d/unit.size, unit.name)
		}
	}
	if d == 24*time.Hour {
		return "24h"
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
