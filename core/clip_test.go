package core

import "testing"

func TestClip(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		most int
		want string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"äöü", 3, "äöü"}, {"äöüß", 3, "äöü…"}, {"a", 0, "…"}, {"\xff\xfe\xfd", 2, "\xff\xfe…"},
	} {
		if got := Clip(test.text, test.most); got != test.want {
			t.Errorf("%q, %d: want %q, got %q", test.text, test.most, test.want, got)
		}
	}
}
