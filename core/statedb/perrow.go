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
// runs once for all rows; each column that it uses is a parameter, an array.
func (d dialect) allRows(query, cols string) rowText {
	return d.texts.get("all "+query, func() rowText {
		var r rowText
		var arrays, names []string
		for i, c := range strings.Split(cols, ", ") {
			name, kind, _ := strings.Cut(c, " ")
			if regexp.MustCompile(`\bx\.` + name + `\b`).MatchString(query) {
				r.fields = append(r.fields, i)
				arrays = append(arrays, fmt.Sprintf("$%d::%s[]", len(r.fields), kind))
				names = append(names, name)
			}
		}
		rows := "unnest(" + strings.Join(arrays, ", ") + ") AS x(" + strings.Join(names, ", ") + ")"
		r.text = strings.Replace(query, "{rows}", rows, 1)
		return r
	})
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
// is nothing to do. It is for PostgreSQL, to which every statement has to travel:
// several rows go together.
func perRow[T any](ctx context.Context, t *txn, doing string, rows []T, query, cols string) error {
	switch len(rows) {
	case 0:
		return nil
	case 1:
		one := t.d.oneRow(query, cols)
		row := reflect.ValueOf(&rows[0]).Elem()
		args := make([]any, len(one.fields))
		for n, f := range one.fields {
			args[n] = plain(row.Field(f))
		}
		return t.later(ctx, doing, one.text, args...)
	default:
		return atOnce(ctx, t, doing, rows, query, cols)
	}
}

// atOnce runs a statement once for rows, also for one.
func atOnce[T any](ctx context.Context, t *txn, doing string, rows []T, query, cols string) error {
	all := t.d.allRows(query, cols)
	args := make([]any, len(all.fields))
	for n, f := range all.fields {
		args[n] = column(rows, f)
	}
	return t.later(ctx, doing, all.text, args...)
}

// column is a field of all rows as an array.
func column[T any](rows []T, field int) any {
	var texts []string
	var flags []bool
	var numbers []int64
	for i := range rows {
		switch v := plain(reflect.ValueOf(&rows[i]).Elem().Field(field)).(type) {
		case string:
			texts = append(texts, v)
		case bool:
			flags = append(flags, v)
		case int64:
			numbers = append(numbers, v)
		}
	}
	switch {
	case texts != nil:
		return texts
	case flags != nil:
		return flags
	default:
		return numbers
	}
}

// plain is a field as a driver takes it.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.String:
		return storedText(v.String())
	case reflect.Bool:
		return v.Bool()
	default:
		return v.Int()
	}
}

// storedText is a text that both databases take; what rowsOf would not let
// through is mended in the same way.
func storedText(s string) string {
	if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
		s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	}
	return s
}
