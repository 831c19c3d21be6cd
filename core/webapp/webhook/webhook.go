package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// Queue is what webhooks need of the run queue. *queue.Queue has it.
type Queue interface {
	// Pushed makes Lorries and listings due; what it does not know is no error.
	Pushed(ctx context.Context, p queue.Push) (queue.PushResult, error)
}

// The results that Options.Count is told.
const (
	Matched = "matched" // Lorries or listings became due
	Unknown = "unknown" // nothing here mirrors what was pushed to
	Ignored = "ignored" // an event that changes no mirror, or a ping
	Refused = "refused" // not the right secret, too old, too often, or not readable
	Failed  = "failed"  // the STATEDB did not answer
)

// Options are what the webhooks need. Queue, Secrets, Clock and Log are
// required.
type Options struct {
	Queue Queue
	// Secrets gives the secrets of a webhook, any of which will do; none when
	// there is no webhook of that name. It is asked for each request.
	Secrets func(name string) ([]core.Secret, error)
	// Count is told of each request: the forge and one of the results. It may
	// be nil.
	Count func(forge, result string)
	Clock core.Clock
	Log   hclog.Logger
}

// Webhooks answers POST /1.0/webhook/FORGE/NAME.
type Webhooks struct {
	o     Options
	large chan struct{} // the large bodies that are read now
	tries *tries
}

// New makes the webhooks.
func New(o Options) *Webhooks {
	if o.Count == nil {
		o.Count = func(string, string) {}
	}
	return &Webhooks{o: o, large: make(chan struct{}, maxLarge), tries: newTries(o.Clock)}
}

// Answer is what a forge is told.
type Answer struct {
	// Event is "push", "listing", "ping" or "ignored".
	Event string `json:"event"`
	// Lorries and Hosts count what became due; 0 for what nobody mirrors.
	Lorries int `json:"lorries"`
	Hosts   int `json:"hosts"`
}

// Receive answers one webhook: 202 with what became due, or 200 to a ping.
func (w *Webhooks) Receive(r *exchange.Request) (exchange.Answer, error) {
	if w == nil {
		return nil, core.Errorf(core.KindNotFound, "this controller takes no webhooks")
	}
	name, forge := r.Param("name"), r.Param("forge")
	read, known := forges()[forge]
	if !known {
		return nil, &core.Error{
			Kind: core.KindNotFound, Fact: fmt.Sprintf("there are no webhooks for %q", clip(forge)),
			Hint: "use /1.0/webhook/FORGE/NAME with one of " + strings.Join(forgeNames(), ", "),
		}
	}
	e, err := w.event(r, read, name)
	if err != nil {
		w.o.Count(forge, Refused)
		w.o.Log.Warn("webhook was refused", "forge", forge, "name", clip(name), "from", r.RemoteAddr, "error", err)
		return nil, err
	}
	if e.kind == eventPing || e.kind == eventOther {
		w.o.Count(forge, Ignored)
		return exchange.JSON(Answer{Event: e.kind}), nil
	}
	p := e.push(name)
	moved, err := w.o.Queue.Pushed(r.Context(), p)
	if err != nil {
		w.o.Count(forge, Failed)
		return nil, err
	}
	result := Matched
	if moved == (queue.PushResult{}) {
		result = Unknown
	}
	w.o.Count(forge, result)
	w.o.Log.Debug("webhook was taken", "forge", forge, "name", name, "event", e.kind,
		"repositories", strings.Join(p.Repositories, " "), "lorries", moved.Lorries, "hosts", moved.Hosts)
	return exchange.Accepted(Answer{Event: e.kind, Lorries: moved.Lorries, Hosts: moved.Hosts}), nil
}

// event reads a request: first who sent it, then what it says.
func (w *Webhooks) event(r *exchange.Request, f forge, name string) (event, error) {
	body, err := w.authentic(r, f, name)
	if err != nil {
		return event{}, err
	}
	body, err = payload(r.Header.Get("Content-Type"), body)
	if err != nil {
		return event{}, err
	}
	e, err := f.parse(r.Request, body)
	if err != nil {
		return event{}, err
	}
	if !e.at.IsZero() {
		if err := w.timely(e.at, eventAge); err != nil {
			return event{}, err
		}
	}
	return e, nil
}

// payload takes the JSON out of the form in which some forges can send it.
func payload(contentType string, body []byte) ([]byte, error) {
	media, _, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") || !strings.HasPrefix(string(body[:min(8, len(body))]), "payload=") {
		return body, nil
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, core.Errorf(core.KindInvalid, "form of the webhook can't be read: %w", err)
	}
	return []byte(values.Get("payload")), nil
}

// event is what a forge told.
type event struct {
	kind string
	// addresses are all URLs of the repositories, and paths their names on the
	// forge.
	addresses, paths []string
	hosts            []string // Upstream Hosts by name, beside those that the addresses are on
	at               timestamp
}

// The kinds of event.
const (
	eventPush    = "push"
	eventListing = "listing" // repositories came, went or were renamed
	eventPing    = "ping"
	eventOther   = "ignored"
)

// push says what is to be looked for: the repository by each of its addresses;
// and by its path, on the host that the webhook is named after or that the
// addresses are on.
func (e event) push(name string) queue.Push {
	var p queue.Push
	hosts := append([]string{name}, e.hosts...)
	for _, address := range e.addresses {
		if repository := core.RepositoryName(address); repository != "" {
			p.Repositories = append(p.Repositories, repository)
			host, _, _ := strings.Cut(repository, "/")
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	if e.kind == eventListing {
		p.Repositories, p.Hosts = nil, hosts
		return p
	}
	for _, path := range e.paths {
		path = core.RepositoryPath(path)
		if path == "" {
			continue
		}
		for _, host := range hosts {
			p.Generated = append(p.Generated, queue.HostPath{Host: host, Path: path})
			p.Repositories = append(p.Repositories, core.RepositoryName("https://"+host+"/"+path))
		}
	}
	slices.Sort(p.Repositories)
	p.Repositories = slices.Compact(slices.DeleteFunc(p.Repositories, func(s string) bool { return s == "" }))
	return p
}

// refusal is the answer to a sender that has not shown the secret.
func refusal(kind core.Kind, fact, hint string) error {
	return &core.Error{Kind: kind, Fact: fact, Hint: hint, Err: errRefused}
}

var errRefused = errors.New("webhook refused")

// clip shortens what a stranger sent.
func clip(s string) string { return core.Clip(exchange.Text(s), 60) }
