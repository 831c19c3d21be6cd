package core

// Clip gives a text of at most so many characters, and "…" in place of more: for
// what comes from elsewhere and is quoted in a message.
func Clip(text string, most int) string {
	n := 0
	for i := range text {
		if n == most {
			return text[:i] + "…"
		}
		n++
	}
	return text
}
