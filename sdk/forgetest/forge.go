package forgetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// maxPage is the longest page, whatever is asked for, as forges clamp it.
const maxPage = 50

// Repo is a repository of a Forge, as its API has it.
type Repo struct {
	ID            int    `json:"id"`
	Path          string `json:"path"`
	Description   string `json:"description"`
	DefaultBranch string `json:"default_branch"`
	Private       bool   `json:"private"`
	Archived      bool   `json:"archived"`
	Empty         bool   `json:"empty"`
}

// Forge is a fake forge with repositories. Its API:
//
//	GET   /api/repos?page=1&per_page=50   a list; a Link header names the next page
//	GET   /api/repos/PATH                 one, or 404
//	POST  /api/repos                      make one of {"path": …}: 201, 409 when it is there, 422 for a bad path
//	PATCH /api/repos/PATH                 change description or default_branch
type Forge struct {
	*Server

	mu    sync.Mutex
	repos []Repo
	last  int
}

// NewForge serves a forge without repositories until the test ends.
func NewForge(t testing.TB) *Forge {
	t.Helper()
	f := &Forge{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/repos", f.list)
	mux.HandleFunc("GET /api/repos/{path...}", f.get)
	mux.HandleFunc("POST /api/repos", f.create)
	mux.HandleFunc("PATCH /api/repos/{path...}", f.change)
	f.Server = Serve(t, mux)
	return f
}

// Add makes repositories.
func (f *Forge) Add(repos ...Repo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range repos {
		f.last++
		r.ID = f.last
		f.repos = append(f.repos, r)
	}
}

// Remove removes a repository.
func (f *Forge) Remove(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.repos = slices.DeleteFunc(f.repos, func(r Repo) bool { return r.Path == path })
}

// Repos gives the repositories, oldest first.
func (f *Forge) Repos() []Repo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.repos)
}

func (f *Forge) index(path string) int {
	return slices.IndexFunc(f.repos, func(r Repo) bool { return r.Path == path })
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, code int, message string) {
	answer(w, code, map[string]string{"message": message})
}

func (f *Forge) list(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	page := max(number(r, "page"), 1)
	size := number(r, "per_page")
	if size < 1 || size > maxPage {
		size = maxPage
	}
	begin := min((page-1)*size, len(f.repos))
	end := min(begin+size, len(f.repos))
	if end < len(f.repos) {
		w.Header().Set("Link", fmt.Sprintf(`<%s/api/repos?page=%d&per_page=%d>; rel="next"`, f.URL, page+1, size))
	}
	answer(w, http.StatusOK, append([]Repo{}, f.repos[begin:end]...))
}

func number(r *http.Request, name string) int {
	n, _ := strconv.Atoi(r.URL.Query().Get(name))
	return n
}

func (f *Forge) get(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.index(r.PathValue("path"))
	if i < 0 {
		refuse(w, http.StatusNotFound, "there is no such repository")
		return
	}
	answer(w, http.StatusOK, f.repos[i])
}

func (f *Forge) create(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var repo Repo
	err := json.NewDecoder(r.Body).Decode(&repo)
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "not JSON")
	case strings.Trim(repo.Path, "abcdefghijklmnopqrstuvwxyz0123456789-_/") != "" || repo.Path == "" || len(repo.Path) > 255 || strings.Contains("/"+repo.Path+"/", "//"):
		refuse(w, http.StatusUnprocessableEntity, "the path is not allowed")
	case f.index(repo.Path) >= 0:
		refuse(w, http.StatusConflict, "it is there already")
	default:
		f.last++
		repo.ID = f.last
		f.repos = append(f.repos, repo)
		answer(w, http.StatusCreated, repo)
	}
}

func (f *Forge) change(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.index(r.PathValue("path"))
	if i < 0 {
		refuse(w, http.StatusNotFound, "there is no such repository")
		return
	}
	changed := f.repos[i]
	if err := json.NewDecoder(r.Body).Decode(&changed); err != nil {
		refuse(w, http.StatusBadRequest, "not JSON")
		return
	}
	changed.ID, changed.Path = f.repos[i].ID, f.repos[i].Path
	f.repos[i] = changed
	answer(w, http.StatusOK, changed)
}
