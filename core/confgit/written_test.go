package confgit

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestWithoutTextsStillKnowsWhoGivesWhatAndWhere(t *testing.T) {
	t.Parallel()
	c := &Config{
		Commit:  "1",
		Lorries: []core.Lorry{{Path: "a/x", Section: "lorries:a", Text: "{}"}, {Path: "b", Section: "lorries:"}},
		Places:  map[string]Place{"a/x": {"f.lorry", 3, "x"}, "b": {"g.lorry", 1, "other"}},
		Hosts:   []core.Host{{Name: "h"}},
	}
	light := c.WithoutTexts()
	written := func(c *Config) (all []Owned) {
		for path, section := range c.Written() {
			all = append(all, Owned{path, section})
		}
		return all
	}
	want := []Owned{{"a/x", "lorries:a"}, {"b", "lorries:"}}
	for name, got := range map[string][]Owned{"before": written(c), "after": written(light), "twice": written(light.WithoutTexts())} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	wantLight := &Config{Commit: "1", Left: want, Places: c.Places, Hosts: c.Hosts}
	if diff := cmp.Diff(wantLight, light, secretsShown()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(c.Lorries) != 2 {
		t.Error("the whole one has lost its Lorries")
	}
}
