package settings

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check refuses a text that does not fit the option.
func (o *Option) check(text string) error {
	var err error
	switch o.Kind {
	case Int:
		_, err = parseInt(text)
	case Duration:
		_, err = parseDuration(text)
	case Size:
		_, err = parseSize(text)
	case Mode:
		_, err = parseMode(text)
	default:
	}
	if err != nil {
		return err
	}
	if len(o.Choices) > 0 && !slices.Contains(o.Choices, text) {
		return fmt.Errorf("%q is not one of %s", text, strings.Join(o.Choices, ", "))
	}
	if o.Check != nil {
		return o.Check(text)
	}
	return nil
}

// parseBool says which truth a text stands for; known is false when the text
// is neither a usual yes nor a usual no (it counts as no then).
func parseBool(text string) (value, known bool) {
	switch strings.ToLower(text) {
	case "yes", "on", "1", "true":
		return true, true
	case "no", "off", "0", "false", "":
		return false, true
	}
	return false, false
}

func parseInt(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a whole number from 0 on", text)
	}
	return int(n), nil
}

// parseDuration reads seconds, or a number and one of s, m, h, d.
func parseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a time: write seconds, or a number with s, m, h or d", text)
	number, unit := strings.ToLower(strings.TrimSpace(text)), time.Second
	if number == "" {
		return 0, wrong
	}
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	if u, ok := units[number[len(number)-1]]; ok {
		number, unit = strings.TrimSpace(number[:len(number)-1]), u
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0) || n*float64(unit) > math.MaxInt64/2 {
		return 0, wrong
	}
	return time.Duration(n * float64(unit)), nil
}

// parseSize reads bytes with an optional unit.
func parseSize(text string) (int64, error) {
	wrong := fmt.Errorf("%q is not a size: write bytes, or a number with k, m, g, t, ki, mi, gi or ti", text)
	t := strings.ToLower(strings.TrimSpace(text))
	end := strings.LastIndexAny(t, "0123456789.") + 1
	number, unit := t[:end], strings.TrimSuffix(strings.TrimSpace(t[end:]), "b")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0) {
		return 0, wrong
	}
	base := 1000.0
	if rest, ok := strings.CutSuffix(unit, "i"); ok {
		unit, base = rest, 1024
	}
	power, ok := map[string]float64{"": 0, "k": 1, "m": 2, "g": 3, "t": 4}[unit]
	if !ok || unit == "" && base == 1024 {
		return 0, wrong
	}
	n *= math.Pow(base, power)
	if n > math.MaxInt64/2 {
		return 0, wrong
	}
	return int64(n), nil
}

func parseMode(text string) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(text), "0o"), 8, 12)
	if err != nil {
		return 0, fmt.Errorf("%q is not a file mode in octal, such as 0600", text)
	}
	return uint32(n), nil
}

// splitList splits at commas and line ends outside double quotes; empty
// elements are dropped.
func splitList(text string) []string {
	var list []string
	var word strings.Builder
	quoted := false
	flush := func() {
		if s := strings.TrimSpace(word.String()); s != "" {
			list = append(list, s)
		}
		word.Reset()
	}
	for _, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
		case (r == ',' || r == '\n') && !quoted:
			flush()
		default:
			word.WriteRune(r)
		}
	}
	flush()
	return list
}

// joinList is the inverse of splitList.
func joinList(list []string) string {
	words := make([]string, len(list))
	for i, word := range list {
		words[i] = word
		if strings.ContainsAny(word, ",\n") {
			words[i] = `"` + word + `"`
		}
	}
	return strings.Join(words, ", ")
}
