package webhook

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// forge is one dialect of webhooks.
type forge struct {
	needs     string // what a sender has to show, for people
	signature func(r *http.Request) (signature, error)
	parse     func(r *http.Request, body []byte) (event, error)
}

func forges() map[string]forge {
	return map[string]forge{
		"gitlab": {"X-Gitlab-Token, or webhook-signature", gitlabSignature, parseGitLab},
		"gitea":  {"X-Gitea-Signature or X-Forgejo-Signature", giteaSignature, parseGitea},
		"github": {"X-Hub-Signature-256", githubSignature, parseGitHub},
		"gerrit": {"X-Lorry-Token, or token in the URL's query", gerritSignature, parseGerrit},
		"plain":  {"X-Lorry-Token, or X-Lorry-Signature-256 with X-Lorry-Timestamp", plainSignature, parsePlain},
	}
}

func forgeNames() []string { return slices.Sorted(maps.Keys(forges())) }

// gitlabSignature: GitLab sends the secret itself, or signs as the Standard
// Webhooks specification says: v1,base64(HMAC(key, id.time.body)).
func gitlabSignature(r *http.Request) (signature, error) {
	shown := r.Header.Get("Webhook-Signature")
	if shown == "" {
		return signature{secret: r.Header.Get("X-Gitlab-Token")}, nil
	}
	at, err := unixTime(r.Header.Get("Webhook-Timestamp"))
	if err != nil {
		return signature{}, err
	}
	s := signature{
		prefix: r.Header.Get("Webhook-Id") + "." + r.Header.Get("Webhook-Timestamp") + ".",
		encode: inBase64, key: standardKey, at: at,
	}
	for _, one := range strings.Fields(shown) {
		if version, sum, ok := strings.Cut(one, ","); ok && version == "v1" {
			s.hmac = append(s.hmac, sum)
		}
	}
	return s, nil
}

// giteaSignature: Gitea, Forgejo and Gogs send the HMAC in hex. Forgejo sends
// both headers, with the same value.
func giteaSignature(r *http.Request) (signature, error) {
	for _, header := range []string{"X-Forgejo-Signature", "X-Gitea-Signature", "X-Gogs-Signature"} {
		if shown := r.Header.Get(header); shown != "" {
			return signature{hmac: []string{strings.ToLower(shown)}, encode: inHex, key: plainKey}, nil
		}
	}
	return signature{}, nil
}

// githubSignature: "sha256=" and the HMAC in hex. The older SHA-1 form is not
// taken.
func githubSignature(r *http.Request) (signature, error) {
	sum, ok := strings.CutPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256=")
	if !ok {
		return signature{}, nil
	}
	return signature{hmac: []string{strings.ToLower(sum)}, encode: inHex, key: plainKey}, nil
}

// gerritSignature: Gerrit's webhooks plugin can neither sign nor send a header,
// so the URL that it calls is the only place for its secret.
func gerritSignature(r *http.Request) (signature, error) {
	if shown := r.Header.Get("X-Lorry-Token"); shown != "" {
		return signature{secret: shown}, nil
	}
	return signature{secret: r.URL.Query().Get("token")}, nil
}

// plainSignature is that of our own webhooks: the secret, or hex of
// HMAC(secret, time.body).
func plainSignature(r *http.Request) (signature, error) {
	sum, ok := strings.CutPrefix(r.Header.Get("X-Lorry-Signature-256"), "sha256=")
	if !ok {
		return signature{secret: r.Header.Get("X-Lorry-Token")}, nil
	}
	stamp := r.Header.Get("X-Lorry-Timestamp")
	at, err := unixTime(stamp)
	if err != nil {
		return signature{}, err
	}
	return signature{hmac: []string{strings.ToLower(sum)}, prefix: stamp + ".", encode: inHex, key: plainKey, at: at}, nil
}

func unixTime(text string) (time.Time, error) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}, refusal(core.KindUnauthenticated, "webhook is signed, but its time is missing or can't be read",
			"send the seconds since 1970 that the signature covers")
	}
	return time.Unix(seconds, 0), nil
}

// repository is how GitLab, Gitea and GitHub describe one.
type repository struct {
	FullName          string `json:"full_name"`
	PathWithNamespace string `json:"path_with_namespace"`
	CloneURL          string `json:"clone_url"`
	SSHURL            string `json:"ssh_url"`
	GitURL            string `json:"git_url"`
	HTMLURL           string `json:"html_url"`
	WebURL            string `json:"web_url"`
	URL               string `json:"url"`
	HTTPURL           string `json:"http_url"`
	Homepage          string `json:"homepage"`
	GitHTTPURL        string `json:"git_http_url"`
	GitSSHURL         string `json:"git_ssh_url"`
}

func (x repository) event(kind string) event {
	e := event{kind: kind}
	for _, address := range []string{x.CloneURL, x.SSHURL, x.GitURL, x.HTMLURL, x.WebURL, x.URL, x.HTTPURL, x.Homepage, x.GitHTTPURL, x.GitSSHURL} {
		if address != "" {
			e.addresses = append(e.addresses, address)
		}
	}
	for _, path := range []string{x.FullName, x.PathWithNamespace} {
		if path != "" {
			e.paths = append(e.paths, path)
		}
	}
	return e
}

// decode reads the JSON of a forge, of which only some fields matter.
func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return &core.Error{
			Kind: core.KindInvalid, Err: err, Fact: "webhook can't be read: " + err.Error(),
			Hint: "let the forge send JSON",
		}
	}
	return nil
}

// parseGitLab reads project, group and system hooks.
func parseGitLab(_ *http.Request, body []byte) (event, error) {
	var sent struct {
		ObjectKind string     `json:"object_kind"`
		EventName  string     `json:"event_name"`
		Project    repository `json:"project"`
		Repository repository `json:"repository"`
		Path       string     `json:"path_with_namespace"`
	}
	if err := decode(body, &sent); err != nil {
		return event{}, err
	}
	name := sent.EventName
	if name == "" {
		name = sent.ObjectKind
	}
	kind := eventOther
	switch name {
	case "push", "tag_push", "repository_update":
		kind = eventPush
	case "project_create", "project_destroy", "project_rename", "project_transfer", "project_update", "group_rename", "group_destroy":
		kind = eventListing
	}
	e := sent.Project.event(kind)
	more := sent.Repository.event(kind)
	e.addresses = append(e.addresses, more.addresses...)
	if sent.Path != "" {
		e.paths = append(e.paths, sent.Path)
	}
	return e, nil
}

// parseGitea reads Gitea's, Forgejo's and Gogs's.
func parseGitea(r *http.Request, body []byte) (event, error) {
	name := ""
	for _, header := range []string{"X-Forgejo-Event", "X-Gitea-Event", "X-Gogs-Event"} {
		if name == "" {
			name = r.Header.Get(header)
		}
	}
	return parseRepository(name, body)
}

func parseGitHub(r *http.Request, body []byte) (event, error) {
	return parseRepository(r.Header.Get("X-GitHub-Event"), body)
}

func parseRepository(name string, body []byte) (event, error) {
	var sent struct {
		Repository repository `json:"repository"`
	}
	if err := decode(body, &sent); err != nil {
		return event{}, err
	}
	switch name {
	case "ping":
		return event{kind: eventPing}, nil
	case "push", "create", "delete":
		return sent.Repository.event(eventPush), nil
	case "repository", "public":
		return sent.Repository.event(eventListing), nil
	default:
		return event{kind: eventOther}, nil
	}
}

// parseGerrit reads an event of Gerrit's stream. It names a project, but no
// host: that is the one that the webhook is named after.
func parseGerrit(_ *http.Request, body []byte) (event, error) {
	var sent struct {
		Type      string `json:"type"`
		CreatedOn int64  `json:"eventCreatedOn"`
		RefUpdate struct {
			Project string `json:"project"`
		} `json:"refUpdate"`
		RefUpdates []struct {
			Project string `json:"project"`
		} `json:"refUpdates"`
		Change struct {
			Project string `json:"project"`
		} `json:"change"`
		ProjectName string `json:"projectName"`
	}
	if err := decode(body, &sent); err != nil {
		return event{}, err
	}
	e := event{kind: eventOther}
	if sent.CreatedOn > 0 && sent.CreatedOn < 1<<40 {
		e.at = time.Unix(sent.CreatedOn, 0)
	}
	switch sent.Type {
	case "ref-updated", "batch-ref-updated", "change-merged", "project-head-updated":
		e.kind = eventPush
	case "project-created", "project-deleted":
		e.kind = eventListing
	}
	projects := []string{sent.RefUpdate.Project, sent.Change.Project, sent.ProjectName}
	for _, update := range sent.RefUpdates {
		projects = append(projects, update.Project)
	}
	slices.Sort(projects)
	for _, project := range slices.Compact(projects) {
		if project != "" {
			e.paths = append(e.paths, project, "a/"+project) // "a/" is how it is cloned with a password
		}
	}
	return e, nil
}
