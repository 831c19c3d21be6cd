// Package value decodes the value of one setting from JSON's types, or from
// text as an INI file has it. The adapter's side and the core's share it, so
// that both mean the same. It must not know where settings come from.
package value

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
)

// Decode makes a value of the setting's type: bool, int, time.Duration,
// *url.URL, []string or string. oneOf are the texts that it may have; none
// allows any. The fact says what is wrong and reads on after the setting's
// name; it is "" when nothing is.
func Decode(typ adapterv1.SettingType, oneOf []string, raw any) (value any, fact string) {
	switch typ {
	case adapterv1.SettingType_SETTING_TYPE_BOOL:
		return toBool(raw)
	case adapterv1.SettingType_SETTING_TYPE_INT:
		return toInt(raw)
	case adapterv1.SettingType_SETTING_TYPE_DURATION:
		return toDuration(raw)
	case adapterv1.SettingType_SETTING_TYPE_STRING_LIST:
		return toList(raw, oneOf)
	}
	s, ok := raw.(string)
	if !ok {
		return nil, "must be a string, not " + typeName(raw)
	}
	if typ == adapterv1.SettingType_SETTING_TYPE_URL {
		return toURL(s)
	}
	if fact := allowed(s, oneOf); fact != "" {
		return nil, fact
	}
	return s, ""
}

func allowed(s string, oneOf []string) string {
	if len(oneOf) == 0 || slices.Contains(oneOf, s) {
		return ""
	}
	return fmt.Sprintf("must be one of %s, not %q", strings.Join(oneOf, ", "), s)
}

func toBool(raw any) (any, string) {
	switch v := raw.(type) {
	case bool:
		return v, ""
	case string:
		switch strings.ToLower(v) {
		case "true", "yes", "on", "1":
			return true, ""
		case "false", "no", "off", "0":
			return false, ""
		}
	}
	return nil, "must be true or false"
}

func toInt(raw any) (any, string) {
	const fact = "must be a whole number"
	switch v := raw.(type) {
	case float64:
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return nil, fact
		}
		return int(v), ""
	case string:
		n, err := strconv.Atoi(v)
		if err != nil {
			return nil, fact
		}
		return n, ""
	}
	return nil, fact
}

func toDuration(raw any) (any, string) {
	const fact = `must be a duration such as "90s" or "1h30m", or a number of seconds`
	seconds := math.NaN()
	switch v := raw.(type) {
	case float64:
		seconds = v
	case string:
		if d, err := time.ParseDuration(v); err == nil && d >= 0 {
			return d, ""
		}
		if n, err := strconv.ParseFloat(v, 64); err == nil {
			seconds = n
		}
	}
	if !(seconds >= 0 && seconds <= math.MaxInt64/float64(2*time.Second)) {
		return nil, fact
	}
	return time.Duration(seconds * float64(time.Second)), ""
}

func toURL(s string) (any, string) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "" && u.Scheme != "file":
		return nil, `must be an absolute URL such as "https://git.example.com/"`
	case u.User != nil:
		return nil, "must not have a user or password in the URL"
	}
	return u, ""
}

func toList(raw any, oneOf []string) (any, string) {
	list := []string{}
	switch v := raw.(type) {
	case string:
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
	case []any:
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, "must be a list of strings; one item is " + typeName(item)
			}
			list = append(list, s)
		}
	default:
		return nil, "must be a list of strings, not " + typeName(raw)
	}
	for _, item := range list {
		if fact := allowed(item, oneOf); fact != "" {
			return nil, fact
		}
	}
	return list, ""
}

func typeName(raw any) string {
	switch raw.(type) {
	case bool:
		return "a boolean"
	case float64:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return "nothing"
	}
}
