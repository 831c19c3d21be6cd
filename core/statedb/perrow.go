package statedb

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// texts keeps what was made of statements for rows.
type texts struct {
	mu   sync.Mutex
	made map[string]rowText
}

// rowText is a statement and which fields of a row are its parameters.
type rowText struct {
	text   string
	fields []int
}

func newTexts() *texts { return &texts{made: map[string]rowText{}} }

func (t *texts) get(key string, make func() rowText) rowText {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, ok := t.made[key]
	if !ok {
		text = make()
		t.made[key] = text
	}
	return text
}

// allRows makes of a statement with "FROM {rows}" and columns "x.name" one that
// runs once for all rows, which come as JSON in $1.
func (d dialect) allRows(query, cols string) string {
	return d.texts.get("all "+query, func() rowText {
		return rowText{text: strings.Replace(query, "{rows}", d.from("x", cols), 1)}
	}).text
}

// oneRow makes of it one that runs for a row, whose columns are parameters.
func (d dialect) oneRow(query, cols string) rowText {
	return d.texts.get(query, func() rowText {
		if strings.HasPrefix(query, "UPDATE") {
			query = strings.Replace(query, "FROM {rows}", "", 1)
		}
		query = strings.Replace(query, "{rows}", "(SELECT 1) one", 1)
		field, place := map[string]int{}, map[string]int{}
		for i, c := range strings.Split(cols, ", ") {
			name, _, _ := strings.Cut(c, " ")
			field[name] = i
		}
		var fields []int
		text := regexp.MustCompile(`\bx\.(\w+)`).ReplaceAllStringFunc(query, func(name string) string {
			name = name[len("x."):]
			if place[name] == 0 {
				fields = append(fields, field[name])
				place[name] = len(fields)
			}
			return fmt.Sprintf("$%d", place[name])
		})
		return rowText{text, fields}
	})
}

// perRow runs a statement for rows, whose fields are the columns in order; none
// is nothing to do. Parameters are quicker than JSON; but to PostgreSQL every
// statement has to travel, so that several rows go together.
func perRow[T any](ctx context.Context, t *txn, doing string, rows []T, query, cols string) error {
	if t.sends != nil && len(rows) > 1 {
		return each(ctx, t, doing, rows, t.d.allRows(query, cols))
	}
	if len(rows) == 0 {
		return nil
	}
	one := t.d.oneRow(query, cols)
	args := make([]any, len(one.fields))
	for i := range rows {
		row := reflect.ValueOf(&rows[i]).Elem()
		for n, f := range one.fields {
			args[n] = plain(row.Field(f))
		}
		if err := t.later(ctx, doing, one.text, args...); err != nil {
			return err
		}
	}
	return nil
}

// plain is a field as a driver takes it; text that rowsOf would not let through
// is mended in the same way.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.String:
		s := v.String()
		if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
			s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
		}
		return s
	case reflect.Bool:
		return v.Bool()
	default:
		return v.Int()
	}
}
