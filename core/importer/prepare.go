package importer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// prepare settles from where to where and by which policy.
func (j *job) prepare() error {
	if err := spec.CheckPath(j.Spec.Name); err != nil {
		return gitfail.New(core.FailSpec, gitfail.Local, "", "%v", err)
	}
	rewrites := core.RewriteByRefspec
	if j.Request != nil {
		rewrites = j.Request.Rewrites
	}
	var err error
	if j.policy, err = policy.New(j.Spec, rewrites); err != nil {
		return gitfail.New(core.FailSpec, gitfail.Upstream, "", "%v", err)
	}
	if j.Request != nil {
		approved := map[string]policy.Rewrite{}
		for _, a := range j.Request.Approved {
			approved[a.Ref] = policy.Rewrite{Old: a.Old, New: a.New}
		}
		j.policy = j.policy.Approve(approved)
	}
	if err := j.prepareFetch(); err != nil {
		return err
	}
	return j.preparePush()
}

func (j *job) prepareFetch() error {
	j.fetch = j.Spec.Access
	switch {
	case j.Request != nil && j.Request.Fetch != nil:
		with := *j.Request.Fetch
		if j.fetch.URL == "" {
			with.URL = "" // one of several, which remote goes by
		}
		if err := override(&j.fetch, j.Spec.Type, with); err != nil {
			return gitfail.New(core.FailSpec, gitfail.Upstream, "", "upstream: %v", err)
		}
	case j.fetch.SkipCertificates && !j.fetch.Secret.Empty() && !j.Spec.InsecureCredentials:
		// Over a connection that nobody verified, anybody could take it.
		fmt.Fprintln(j.Out, ".. warning: the url's credential is not sent, since check-certificates is off and insecure-credentials is not set")
		j.fetch.Username, j.fetch.Secret, j.fetch.SecretIn = "", core.Secret{}, ""
	}
	if err := j.readable(j.fetch); err != nil {
		return err
	}
	return j.prepareRemotes()
}

func (j *job) preparePush() error {
	if j.PullOnly {
		return nil
	}
	if j.Request != nil && j.Request.Push != nil {
		if err := override(&j.push, spec.Git, *j.Request.Push); err != nil {
			return gitfail.New(core.FailSpec, gitfail.Downstream, "", "downstream: %v", err)
		}
		j.PushOptions = append(slices.Clone(j.PushOptions), j.Request.Push.PushOptions...)
		return nil
	}
	if j.PushBase == "" {
		return gitfail.New(core.FailSpec, gitfail.Downstream, "set mirror-base-url-push in lorry.conf or on the command line, or use --pull-only",
			"downstream: nothing says where to push")
	}
	access, err := spec.ParseAddress(spec.Git, strings.TrimSuffix(j.PushBase, "/")+"/"+j.Spec.Name)
	if err != nil {
		return gitfail.New(core.FailSpec, gitfail.Downstream, "see mirror-base-url-push", "downstream: %v", err)
	}
	j.push = access
	return nil
}

// override takes what a request says of an access; a URL that it does not name
// stays.
func override(a *core.Access, kind spec.Type, with protocol.Access) error {
	if with.URL != "" {
		checked, err := spec.ParseAddress(kind, with.URL)
		if err != nil {
			return err
		}
		skip := a.SkipCertificates
		*a = checked
		a.SkipCertificates = skip
	}
	if with.SecretIn != "" && !kind.Downloads() {
		return fmt.Errorf("the credential is one for the query of a url, with which a source of type %q is never asked", kind)
	}
	if with.Secret != "" {
		a.Username, a.Secret, a.SecretIn = with.Username, core.NewSecret(with.Secret), with.SecretIn
	}
	a.KnownHosts, a.Authorities = with.KnownHosts, with.Authorities
	a.SkipCertificates = a.SkipCertificates || with.SkipCertificates
	return nil
}

func (j *job) secrets() []string {
	var list []string
	for _, a := range append(j.Spec.Remotes(), j.fetch, j.push) {
		if !a.Secret.Empty() {
			list = append(list, a.Secret.Reveal())
		}
	}
	return append(list, j.net.fetchRoute.Secrets()...)
}

// digest is that of a listing under this Lorry's policy, or "" for one that
// says nothing. The queue forgets it when the Lorry's text or the Downstream
// Host changes; that of a run by hand has to tell of both.
func (j *job) digest(l lsrefs.Listing) string {
	if len(l.Refs) == 0 {
		return ""
	}
	key := j.policy.Key() + " lfs " + string(j.Spec.LFS)
	if j.Request == nil {
		key += " to " + j.PushBase + " of " + j.Spec.Text(j.Spec.Name)
	}
	return l.Digest(key)
}

func (j *job) areaDir() string { return area.Dir(j.WorkingArea, j.Spec.Name) }

// head is the branch that the downstream HEAD should name.
func (j *job) head(l lsrefs.Listing) string {
	src := l.Head
	if j.Spec.SourceHead != "" {
		src = j.Spec.SourceHead
	}
	wanted, _ := j.policy.Wanted(l.Map())
	for _, w := range wanted {
		if w.Src == src && strings.HasPrefix(w.Dst, "refs/heads/") {
			return w.Dst
		}
	}
	return ""
}
