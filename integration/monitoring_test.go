package integration

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// describedMain is "described METRICS DASHBOARD ALERTS": every metric that a
// panel or an alert uses must be in a scrape.
func describedMain(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: described METRICS DASHBOARD ALERTS")
	}
	there, err := scraped(args[0])
	if err != nil {
		return err
	}
	expressions, err := dashboard(args[1])
	if err != nil {
		return err
	}
	rules, err := alerts(args[2])
	if err != nil {
		return err
	}
	used := map[string]bool{}
	var missing []string
	for _, expression := range append(expressions, rules...) {
		for _, name := range regexp.MustCompile(`\b(?:lorry|process|go)_[a-z0-9_]+`).FindAllString(expression, -1) {
			used[name] = true
			if !there[name] {
				missing = append(missing, fmt.Sprintf("%s, in %s", name, expression))
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("no controller has these metrics:\n%s", strings.Join(missing, "\n"))
	}
	fmt.Fprintf(os.Stdout, "%d metrics are used: %v\n", len(used), slices.Sorted(maps.Keys(used)))
	if len(used) < 20 {
		return errors.New("that is too few for a dashboard and alerts")
	}
	return nil
}

func scraped(file string) (map[string]bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			names[strings.FieldsFunc(line+" ", func(r rune) bool { return r == '{' || r == ' ' })[0]] = true
		}
	}
	return names, nil
}

func dashboard(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var board struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	err = json.Unmarshal(text, &board)
	var all []string
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			all = append(all, target.Expr)
		}
	}
	return all, err
}

func alerts(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &rules); err != nil {
		return nil, err
	}
	manual, err := os.ReadFile(strings.TrimSuffix(file, "packaging/monitoring/alerts.yml") + "docs/monitoring.md")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			all = append(all, rule.Expr)
			if !strings.Contains(string(manual), "### "+rule.Alert+"\n") {
				return nil, fmt.Errorf("docs/monitoring.md does not say what to do about %s", rule.Alert)
			}
		}
	}
	return all, nil
}
