package adapter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// expiryWarning is how long before its end a credential is warned of.
const expiryWarning = 30 * 24 * time.Hour

// EndsSoon reports whether a credential that stops working at a time, which is
// zero for one that does not, is to be warned of.
func EndsSoon(at, now time.Time) bool { return !at.IsZero() && at.Sub(now) <= expiryWarning }

// check has the adapter look at its host, and keeps the outcome for the pages.
func (s *supervisor) check(ctx context.Context) error {
	var report sdk.Report
	err := s.with(ctx, RPCCheck, func(cur *session) error {
		if !cur.desc.Check {
			return errNotAsked
		}
		var err error
		if report, err = cur.Check(ctx); err != nil {
			return err
		}
		return reportError(report)
	})
	s.noteCheck(report, err)
	return err
}

// noteCheck keeps what a look at the host has found.
func (s *supervisor) noteCheck(report sdk.Report, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Clock()
	s.st.Checked, s.st.CheckError = now, ""
	if err != nil {
		s.st.CheckError = err.Error()
	}
	if err != nil && report.ServerVersion == "" && len(report.Diagnostics) == 0 {
		return // it has not been looked at: what was found before still holds
	}
	s.st.ServerVersion, s.st.ExpiresAt, s.st.Warnings = report.ServerVersion, report.ExpiresAt, warningsOf(report)
	told := s.warned
	s.warned = s.warnings(now)
	for _, warning := range s.warned {
		if !slices.Contains(told, warning) {
			s.log.Warn("the look at the host has a warning", "warning", warning)
		}
	}
}

// warnings are those of the last look and of credentials that are about to end,
// which come nearer without a look. s.mu is held.
func (s *supervisor) warnings(now time.Time) []string {
	list := slices.Clone(s.st.Warnings)
	end := s.st.ExpiresAt
	if !EndsSoon(end, now) {
		return list
	}
	day := end.UTC().Format(time.DateOnly)
	if slices.ContainsFunc(list, func(w string) bool { return strings.Contains(w, day) }) {
		return list // the adapter says it in its own words
	}
	if !end.After(now) {
		return append(list, fmt.Sprintf("the credentials stopped working on %s: replace them", day))
	}
	return append(list, fmt.Sprintf("the credentials stop working on %s: replace them before", day))
}

// warningsOf gives the warnings of a check, with what to do.
func warningsOf(report sdk.Report) []string {
	var list []string
	for _, d := range report.Diagnostics {
		if d.Severity != sdk.SeverityWarning {
			continue
		}
		text := d.Summary
		if d.Path != "" {
			text = d.Path + ": " + text
		}
		if d.Detail != "" {
			text += "; " + d.Detail
		}
		list = append(list, text)
	}
	return list
}

// reportError makes one error of all that a check found wrong.
func reportError(report sdk.Report) error {
	var facts, hints []string
	for _, d := range report.Diagnostics {
		if d.Severity == sdk.SeverityWarning {
			continue
		}
		facts = append(facts, d.Summary)
		if d.Detail != "" {
			hints = append(hints, d.Detail)
		}
	}
	if len(facts) == 0 {
		return nil
	}
	return sdk.WithHint(sdk.Errorf(sdk.Invalid, "the check found: %s", strings.Join(facts, "; ")), strings.Join(hints, "; "))
}
