package spec

import (
	"bytes"
	"encoding/json"

	"github.com/lorry-controller/lorry-controller/core"
)

// written is a specification as JSON, its keys in the order in which people
// write them.
type written struct {
	Type                Type               `json:"type"`
	URL                 string             `json:"url,omitempty"`
	Module              string             `json:"module,omitempty"`
	Layout              any                `json:"layout,omitempty"`
	Branches            *pairs             `json:"branches,omitempty"`
	Files               []writtenFile      `json:"urls,omitempty"`
	Bookmarks           bool               `json:"bookmarks,omitempty"`
	SHA256              string             `json:"sha256sum,omitempty"`
	Refspecs            []string           `json:"refspecs,omitempty"`
	RefPatterns         []string           `json:"ref_patterns,omitempty"`
	IgnorePatterns      []string           `json:"ignore_patterns,omitempty"`
	CheckCertificates   *bool              `json:"check-certificates,omitempty"`
	InsecureCredentials bool               `json:"insecure-credentials,omitempty"`
	LFS                 *bool              `json:"lfs,omitempty"`
	Rewrites            core.RewritePolicy `json:"rewrites,omitempty"`
	Prune               bool               `json:"prune,omitempty"`
	SourceHead          string             `json:"source-HEAD,omitempty"`
	Description         string             `json:"description,omitempty"`
}

type writtenFile struct {
	Destination string `json:"destination,omitempty"`
	URL         string `json:"url"`
	SHA256      string `json:"sha256sum,omitempty"`
}

type writtenLayout struct {
	Trunk    string `json:"trunk"`
	Branches string `json:"branches,omitempty"`
	Tags     string `json:"tags,omitempty"`
}

// pairs is a JSON object that keeps its order.
type pairs [][2]string

func (p pairs) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, kv := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, s := range kv {
			text, err := json.Marshal(s)
			if err != nil {
				return nil, err
			}
			if j > 0 {
				b.WriteByte(':')
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Text writes the specification as the canonical JSON object {path: spec},
// indented by four spaces. It holds no credential and none of the keys that
// were ignored; Parse reads it back.
func (s Spec) Text(path string) string {
	w := written{
		Type: s.Type, URL: s.Access.URL, Module: s.Module, SHA256: s.SHA256, Bookmarks: s.Bookmarks,
		Refspecs: s.Refspecs, RefPatterns: s.RefPatterns, IgnorePatterns: s.IgnorePatterns,
		InsecureCredentials: s.InsecureCredentials, Rewrites: s.Rewrites, Prune: s.Prune,
		SourceHead: s.SourceHead, Description: s.Description,
	}
	for _, r := range s.Remotes() {
		if r.SkipCertificates {
			w.CheckCertificates = new(bool)
		}
	}
	if s.LFS != LFSAuto {
		yes := s.LFS == LFSYes
		w.LFS = &yes
	}
	if s.Type == Svn {
		w.Layout = "standard"
	}
	if s.Layout != nil {
		w.Layout = writtenLayout(*s.Layout)
	}
	if len(s.Branches) > 0 {
		w.Branches = &pairs{}
		for _, b := range s.Branches {
			*w.Branches = append(*w.Branches, [2]string{b.Name, b.Access.URL})
		}
	}
	for _, f := range s.Files {
		w.Files = append(w.Files, writtenFile{Destination: f.Destination, URL: f.Access.URL, SHA256: f.SHA256})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "    ")
	// Nothing in the value can fail to be written: texts, booleans, lists.
	_ = enc.Encode(map[string]written{path: w})
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
