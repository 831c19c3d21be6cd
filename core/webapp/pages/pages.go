package pages

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// Options are what the pages need.
type Options struct {
	API   *api.API
	Queue api.Queue
	Clock core.Clock
	Log   hclog.Logger
	// Version is the controller's own, for the foot of each page.
	Version string
	// PublishFailures shows failures in the static copy too.
	PublishFailures func() bool
	// StatusHTML is the file that holds a static copy of the status, or "".
	StatusHTML string
}

// Pages answers the routes that people look at.
type Pages struct {
	o         Options
	templates *template.Template
	css       template.CSS
	writing   sync.Mutex // one writer of the static copy at a time
}

// New makes the pages. It fails when the embedded templates are broken.
func New(o Options) (*Pages, error) {
	templates, err := template.New("").Funcs(functions()).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("page templates are broken: %w", err)
	}
	css, err := assetFiles.ReadFile("assets/lorry.css")
	if err != nil {
		return nil, fmt.Errorf("style sheet is missing: %w", err)
	}
	return &Pages{o: o, templates: templates, css: template.CSS(css)}, nil
}

// frame is what every page has.
type frame struct {
	Title   string
	Here    string // which page of the navigation this is
	Static  bool   // a copy in a file: no links, no buttons
	Refresh int    // seconds after which the browser loads the page again; 0: never
	CSS     template.CSS
	Version string
	Now     string
	Clock   time.Time
	Mood    string // colour of the head: good, warn, bad, info or ""
	Self    string // the page's own path, for buttons to come back to
	Live    int64  // the running job that the page is about; 0: none
}

func (p *Pages) frame(title, here string) frame {
	now := p.o.Clock()
	return frame{Title: title, Here: here, CSS: p.css, Version: p.o.Version, Now: protocol.NiceTime(now), Clock: now}
}

// render executes a template. Characters that could mislead whoever reads the
// page are made visible in the whole of it, wherever they came from.
func (p *Pages) render(name string, data any) ([]byte, error) {
	var page bytes.Buffer
	if err := p.templates.ExecuteTemplate(&page, name, data); err != nil {
		return nil, fmt.Errorf("page %s can't be made: %w", name, err)
	}
	return []byte(visible(page.String())), nil
}

// Home answers GET /.
func (p *Pages) Home(*exchange.Request) (exchange.Answer, error) {
	return exchange.Redirect("/1.0/status-html"), nil
}

// Static answers GET /lc-static/FILE.
func (p *Pages) Static(r *exchange.Request) (exchange.Answer, error) {
	types := map[string]string{".css": "text/css; charset=UTF-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=UTF-8"}
	name := strings.TrimPrefix(r.Param("file"), "/")
	contentType, known := types[path.Ext(name)]
	data, err := assetFiles.ReadFile("assets/" + name)
	if err != nil || !known {
		return nil, api.NotFound(r.Request)
	}
	return exchange.Func(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "max-age=300")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}), nil
}

// Error renders an error for people.
func (p *Pages) Error(status int, e protocol.Error) []byte {
	title := fmt.Sprintf("Error: %d %s", status, http.StatusText(status))
	data := struct {
		frame
		Error protocol.Error
	}{p.frame(title, ""), e}
	page, err := p.render("error.html", data)
	if err != nil {
		p.o.Log.Error("error page was not made", "error", err)
		return []byte(template.HTMLEscapeString(title + ": " + e.Message))
	}
	return page
}

// Lorry answers GET /1.0/lorry-html/PATH.
func (p *Pages) Lorry(r *exchange.Request) (exchange.Answer, error) {
	name := strings.Trim(r.Param("path"), "/")
	detail, err := p.o.API.LorryDetail(r.Context(), name)
	if err != nil {
		return nil, err
	}
	jobs, err := p.jobs(r, name)
	if err != nil {
		return nil, err
	}
	data := struct {
		frame
		jobList
		Lorry protocol.LorryDetail
	}{p.frame(name, ""), jobs, detail}
	data.Self = (&pathLink{Path: name}).page()
	if data.Mood = lastResult(detail.Lorry).Class; detail.RunningJob != nil {
		data.Mood = "info"
	}
	return p.answer("lorry.html", data)
}

// Jobs answers GET /1.0/list-jobs-html.
func (p *Pages) Jobs(r *exchange.Request) (exchange.Answer, error) {
	jobs, err := p.jobs(r, "")
	if err != nil {
		return nil, err
	}
	title := "Jobs"
	if jobs.Failed {
		title = "Failed jobs"
	}
	return p.answer("jobs.html", struct {
		frame
		jobList
	}{p.frame(title, "jobs"), jobs})
}

// Job answers GET /1.0/job-html/ID.
func (p *Pages) Job(r *exchange.Request) (exchange.Answer, error) {
	job, err := p.o.API.JobDetail(r.Context(), r.Param("job_id"))
	if err != nil {
		return nil, err
	}
	data := struct {
		frame
		Job    protocol.JobInfo
		Output string
	}{p.frame(fmt.Sprintf("Job %d: %s", job.JobID, job.Path), ""), job, asOnTerminal(job.Output)}
	data.Self = fmt.Sprintf("/1.0/job-html/%d", job.JobID)
	data.Mood = jobState(job).Class
	if job.Exit == "" {
		data.Refresh, data.Live = refreshOf(r), int64(job.JobID)
	}
	return p.answer("job.html", data)
}

func (p *Pages) answer(name string, data any) (exchange.Answer, error) {
	page, err := p.render(name, data)
	if err != nil {
		return nil, err
	}
	return exchange.HTML(http.StatusOK, page), nil
}

// Status answers GET /1.0/status-html and refreshes the static copy.
func (p *Pages) Status(r *exchange.Request) (exchange.Answer, error) {
	after := r.Form.Get("after")
	if err := p.WriteStatusHTML(r.Context()); err != nil {
		p.o.Log.Error("status-html file was not written", "error", err)
	}
	data, err := p.status(r.Context(), after)
	if err != nil {
		return nil, err
	}
	if err := p.more(r, &data); err != nil {
		return nil, err
	}
	data.Refresh = refreshOf(r)
	return p.answer("status.html", data)
}

// WriteStatusHTML rewrites the static copy of the status: without links and
// buttons, with its style in itself, replaced as a whole.
func (p *Pages) WriteStatusHTML(ctx context.Context) error {
	if p.o.StatusHTML == "" || p.o.StatusHTML == "/dev/null" {
		return nil
	}
	data, err := p.status(ctx, "")
	if err != nil {
		return err
	}
	data.Static = true
	data.ShowFailures = p.o.PublishFailures != nil && p.o.PublishFailures()
	page, err := p.render("status.html", data)
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	return replaceFile(p.o.StatusHTML, page)
}

// refreshOf reads the field refresh: seconds from 2 to 3600, or 0.
func refreshOf(r *exchange.Request) int {
	n, err := r.Form.Int("refresh")
	if err != nil || n < 2 || n > 3600 {
		return 0
	}
	return int(n)
}
