package importer

import (
	"fmt"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/bzrsource"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/rawfile"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// prepareRemotes settles the access to each of several addresses, for the types
// that may have more than one.
func (j *job) prepareRemotes() error {
	host := j.Spec.UpstreamHost()
	if j.Request != nil && j.Request.Fetch != nil && j.Request.Fetch.URL != "" {
		host = (spec.Spec{Type: j.Spec.Type, Access: core.Access{URL: j.Request.Fetch.URL}}).UpstreamHost()
	}
	j.branches, j.files = nil, nil
	for _, b := range j.Spec.Branches {
		access, err := j.remote(b.Access, host)
		if err != nil {
			return err
		}
		j.branches = append(j.branches, bzrsource.Branch{Name: b.Name, Access: escaped(access)})
	}
	if j.Spec.Type == spec.Bzr && j.fetch.URL != "" {
		j.branches = []bzrsource.Branch{{Name: bzrsource.OnlyBranch, Access: escaped(j.fetch)}}
	}
	if j.Spec.Type == spec.RawFile && j.fetch.URL != "" {
		j.files = append(j.files, rawfile.File{File: spec.File{Access: j.fetch}, Local: LocalPath(j.fetch.URL)})
	}
	for _, f := range j.Spec.Files {
		access, err := j.remote(f.Access, host)
		if err != nil {
			return err
		}
		f.Access = access
		j.files = append(j.files, rawfile.File{File: f, Local: LocalPath(access.URL)})
	}
	return nil
}

// remote settles the access to one address. What the request says of the
// upstream host is for that host alone.
func (j *job) remote(a core.Access, host string) (core.Access, error) {
	if j.Request != nil && j.Request.Fetch != nil && (spec.Spec{Type: j.Spec.Type, Access: a}).UpstreamHost() == host && host != "" {
		with := *j.Request.Fetch
		if with.URL != "" && spec.Site(with.URL) != spec.Site(a.URL) {
			with.Username, with.Secret, with.SecretIn = "", "", ""
		}
		with.URL = ""
		if err := override(&a, j.Spec.Type, with); err != nil {
			return a, gitfail.New(core.FailSpec, gitfail.Upstream, "", "upstream: %v", err)
		}
	} else if a.SkipCertificates && !a.Secret.Empty() && !j.Spec.InsecureCredentials {
		fmt.Fprintln(j.Out, ".. warning: the url's credential is not sent, since check-certificates is off and insecure-credentials is not set")
		a.Username, a.Secret, a.SecretIn = "", core.Secret{}, ""
	}
	return a, j.readable(a)
}

// escaped writes the characters of a URL beyond ASCII as svn and brz want them.
func escaped(a core.Access) core.Access {
	if !strings.Contains(a.URL, "://") {
		return a
	}
	var b strings.Builder
	for _, c := range []byte(a.URL) {
		if c < 0x80 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	a.URL = b.String()
	return a
}

// roots are the directories below which paths may be read: all by hand.
func (j *job) roots() []string {
	if j.Request == nil {
		return []string{"/"}
	}
	return j.Request.FileRoots
}

// from is where the source is, for people.
func (j *job) from() string {
	all := append(j.Spec.Remotes(), j.fetch)
	switch {
	case j.fetch.URL != "":
		return j.fetch.URL
	case len(all) > 2:
		return fmt.Sprintf("%s and %d more", all[0].URL, len(all)-2)
	}
	return all[0].URL
}
