package api

import (
	"bufio"
	"context"
	"net/http"
	"time"

	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// stream answers with JSON that parts writes bit by bit, so that no long answer
// is in memory as a whole. It calls more before each bit. What fails then can't
// become an error answer any more; so what can fail at once is to be tried
// before.
func (a *API) stream(what string, parts func(ctx context.Context, out *bufio.Writer, more func()) error) exchange.Answer {
	return exchange.Func(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodHead {
			return
		}
		control := http.NewResponseController(w)
		out := bufio.NewWriterSize(w, 1<<15)
		err := parts(r.Context(), out, func() {
			_ = control.SetWriteDeadline(time.Now().Add(time.Minute)) // FastCGI has none
		})
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			// Half an answer must not look like a whole one.
			a.log.Warn("an answer was cut off", "answer", what, "error", err)
			panic(http.ErrAbortHandler)
		}
	})
}
