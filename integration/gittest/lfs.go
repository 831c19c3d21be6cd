package gittest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// LFS is a server of git-lfs objects beside a git server: the batch API and
// the basic transfers as the project publishes them
// (https://github.com/git-lfs/git-lfs/tree/main/docs/api). It keeps what it is
// given, takes at most 100 objects in one request, checks what is uploaded, and
// refuses what a real one refuses.
type LFS struct {
	*httptest.Server
	// User and Password are asked for when User is set.
	User, Password string
	// Token, when set, is asked for by the transfers; only answers of the batch
	// API hold it.
	Token string
	// Elsewhere, when set, is the address that transfers are sent to.
	Elsewhere string
	// Trouble, when set, may answer a request itself; it then returns true.
	Trouble func(w http.ResponseWriter, r *http.Request) bool

	git     http.Handler
	mu      sync.Mutex
	objects map[string][]byte // by repository and oid
	seen    []string
}

// maxBatch is how many objects one request may name.
const maxBatch = 100

// NewLFS serves the repositories below root over HTTP, with git-lfs.
func NewLFS(t testing.TB, root string) *LFS { return newLFS(t, root, httptest.NewServer) }

// NewTLSLFS is NewLFS over HTTPS with a certificate that nobody trusts.
func NewTLSLFS(t testing.TB, root string) *LFS { return newLFS(t, root, httptest.NewTLSServer) }

func newLFS(t testing.TB, root string, start func(http.Handler) *httptest.Server) *LFS {
	t.Helper()
	Require(t, "git")
	git, err := Backend(root)
	if err != nil {
		t.Fatal(err)
	}
	s := &LFS{git: git, objects: make(map[string][]byte)}
	s.Server = start(s)
	t.Cleanup(s.Close)
	return s
}

// Put keeps an object of a repository ("up.git") and gives its pointer's text.
func (s *LFS) Put(repository string, content []byte) string {
	sum := sha256.Sum256(content)
	oid := hex.EncodeToString(sum[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[repository+" "+oid] = content
	return LFSPointer(content)
}

// LFSPointer is the text that git keeps for an object.
func LFSPointer(content []byte) string {
	sum := sha256.Sum256(content)
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", hex.EncodeToString(sum[:]), len(content))
}

// Objects gives the contents of a repository's objects, by oid.
func (s *LFS) Objects(repository string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make(map[string]string)
	for key, content := range s.objects {
		if oid, ok := strings.CutPrefix(key, repository+" "); ok {
			found[oid] = string(content)
		}
	}
	return found
}

// Forget removes all objects of a repository.
func (s *LFS) Forget(repository string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.objects {
		if strings.HasPrefix(key, repository+" ") {
			delete(s.objects, key)
		}
	}
}

// Requests gives the requests for objects so far, as "METHOD PATH".
func (s *LFS) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// ServeHTTP implements http.Handler.
func (s *LFS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	repository, what, large := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/info/lfs/objects/")
	if large {
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
	}
	if s.Trouble != nil && s.Trouble(w, r) {
		return
	}
	if large && what != "batch" && what != "verify" && s.Token != "" {
		if r.Header.Get("Authorization") != "Token "+s.Token {
			http.Error(w, `{"message":"no token"}`, http.StatusForbidden)
			return
		}
	} else if user, password, _ := r.BasicAuth(); s.User != "" && (user != s.User || password != s.Password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		w.Header().Set("LFS-Authenticate", `Basic realm="git"`)
		http.Error(w, `{"message":"credentials wanted"}`, http.StatusUnauthorized)
		return
	}
	switch {
	case !large:
		s.git.ServeHTTP(w, r)
	case what == "batch" && r.Method == http.MethodPost:
		s.batch(w, r, repository)
	case what == "verify" && r.Method == http.MethodPost:
		s.verify(w, r, repository)
	default:
		s.transfer(w, r, repository, what)
	}
}

type lfsObject struct {
	OID     string         `json:"oid"`
	Size    int64          `json:"size"`
	Actions map[string]any `json:"actions,omitempty"`
	Error   map[string]any `json:"error,omitempty"`
}

func (s *LFS) batch(w http.ResponseWriter, r *http.Request, repository string) {
	var ask struct {
		Operation string      `json:"operation"`
		Transfers []string    `json:"transfers"`
		Objects   []lfsObject `json:"objects"`
	}
	if json.NewDecoder(r.Body).Decode(&ask) != nil || ask.Operation != "download" && ask.Operation != "upload" || len(ask.Objects) > maxBatch ||
		!strings.HasPrefix(r.Header.Get("Accept"), "application/vnd.git-lfs+json") || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/vnd.git-lfs+json") {
		http.Error(w, `{"message":"no such request"}`, http.StatusUnprocessableEntity)
		return
	}
	base := s.URL
	if s.Elsewhere != "" {
		base = s.Elsewhere
	}
	base += "/" + repository + "/info/lfs/objects/"
	header := map[string]string{}
	if s.Token != "" {
		header["Authorization"] = "Token " + s.Token
	}
	for i := range ask.Objects {
		o := &ask.Objects[i]
		s.mu.Lock()
		content, have := s.objects[repository+" "+o.OID]
		s.mu.Unlock()
		switch {
		case len(o.OID) != 64 || have && int64(len(content)) != o.Size:
			o.Error = map[string]any{"code": 422, "message": "no such object can be"}
		case ask.Operation == "download" && !have:
			o.Error = map[string]any{"code": 404, "message": "Object does not exist"}
		case ask.Operation == "download":
			o.Actions = map[string]any{"download": map[string]any{"href": base + o.OID, "header": header, "expires_in": 3600}}
		case !have:
			o.Actions = map[string]any{
				"upload": map[string]any{"href": base + o.OID, "header": header, "expires_in": 3600},
				"verify": map[string]any{"href": s.URL + "/" + repository + "/info/lfs/objects/verify", "expires_in": 3600},
			}
		}
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	_ = json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": ask.Objects, "hash_algo": "sha256"})
}

func (s *LFS) verify(w http.ResponseWriter, r *http.Request, repository string) {
	var o lfsObject
	err := json.NewDecoder(r.Body).Decode(&o)
	s.mu.Lock()
	content, have := s.objects[repository+" "+o.OID]
	s.mu.Unlock()
	if err != nil || !have || int64(len(content)) != o.Size {
		http.Error(w, `{"message":"it is not here"}`, http.StatusNotFound)
	}
}

func (s *LFS) transfer(w http.ResponseWriter, r *http.Request, repository, oid string) {
	key := repository + " " + oid
	switch r.Method {
	case http.MethodGet:
		s.mu.Lock()
		content, have := s.objects[key]
		s.mu.Unlock()
		if !have {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content)
	case http.MethodPut:
		var content bytes.Buffer
		_, err := io.Copy(&content, r.Body)
		sum := sha256.Sum256(content.Bytes())
		if err != nil || hex.EncodeToString(sum[:]) != oid {
			http.Error(w, `{"message":"the contents are others"}`, http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.objects[key] = content.Bytes()
		s.mu.Unlock()
	default:
		http.Error(w, "", http.StatusMethodNotAllowed)
	}
}
