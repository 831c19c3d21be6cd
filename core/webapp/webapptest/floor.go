package webapptest

import (
	"io"
	"net/http"

	"github.com/julienschmidt/httprouter"
)

// Floor is what the API is measured beside: the same router with handlers that
// read the body and answer a constant.
func Floor() http.Handler {
	router := httprouter.New()
	for path, answer := range map[string]string{
		"/1.0/give-me-job": `{"job_id": 1, "path": "m/1", "version": 2, "fence": 1}`, "/1.0/job-update": `[{"kill": false}]`,
	} {
		router.POST(path, func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
			_, _ = io.Copy(io.Discard, r.Body) // a client that is gone shows in its own figures
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, answer)
		})
	}
	return router
}
