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

// texts keeps what perRow makes of a statement.
type texts struct {
	mu   sync.Mutex
	made map[string]string
}

func newTexts() *texts { return &texts{made: map[string]string{}} }

func (t *texts) get(key string, make func() string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, ok := t.made[key]
	if !ok {
		text = make()
		t.made[key] = text
	}
	return text
}

// perRow makes of a statement with "FROM {rows}" and columns "x.name" what a
// database runs: PostgreSQL once for all rows, which come as JSON in $1, since
// every statement has to travel; SQLite once for each row, whose columns are
// the parameters, since that is quicker than reading JSON.
func (d dialect) perRow(query, cols string) string {
	return d.texts.get(query, func() string {
		if d.name == postgresName {
			return strings.Replace(query, "{rows}", d.from("x", cols), 1)
		}
		if strings.HasPrefix(query, "UPDATE") {
			query = strings.Replace(query, "FROM {rows}", "", 1)
		}
		query = strings.Replace(query, "{rows}", "(SELECT 1) one", 1)
		place := map[string]int{}
		for i, c := range strings.Split(cols, ", ") {
			name, _, _ := strings.Cut(c, " ")
			place[name] = i + 1
		}
		return regexp.MustCompile(`\bx\.(\w+)`).ReplaceAllStringFunc(query, func(name string) string {
			return fmt.Sprintf("$%d", place[name[len("x."):]])
		})
	})
}

// perRow runs a statement for rows, whose fields are the columns in order; none
// is nothing to do.
func perRow[T any](ctx context.Context, t *txn, doing string, rows []T, query, cols string) error {
	if len(rows) == 0 {
		return nil
	}
	query = t.d.perRow(query, cols)
	if t.d.name == postgresName {
		arg, err := rowsOf(rows)
		if err != nil {
			return err
		}
		return t.later(ctx, doing, query, arg)
	}
	args := make([]any, reflect.TypeFor[T]().NumField())
	for i := range rows {
		row := reflect.ValueOf(&rows[i]).Elem()
		for n := range args {
			args[n] = plain(row.Field(n))
		}
		if _, err := t.change(ctx, doing, query, args...); err != nil {
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
