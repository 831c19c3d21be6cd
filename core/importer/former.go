package importer

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/push"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
)

// formerRefs is where what the mirror has stands until it is looked through.
const formerRefs = "refs/lorry/former/"

// former finds what a lost working copy had in the mirror, for a source whose
// history lies nowhere else: each version that it was given is a commit of
// author's on branch master. What others have made downstream is left alone.
func (j *job) former(place workcopy.Copy, author string) func(context.Context) (map[string]string, error) {
	if j.PullOnly {
		return nil
	}
	return func(ctx context.Context) (map[string]string, error) {
		address := existing(j.push.URL)
		if address == "" {
			return nil, nil
		}
		access := j.push
		access.URL = address
		r := place.Repo
		p := &push.Push{
			Repo: &repo.Repo{Dir: r.Dir, Git: j.net.pushGit, Files: r.Files}, Access: access, Local: LocalPath(address), Policy: j.policy,
		}
		have, err := p.List(ctx)
		if err != nil {
			return nil, err
		}
		origins := j.policy.Origins(have)
		if origins[formerBranch] == "" {
			return nil, nil
		}
		fmt.Fprintln(j.Out, ".. there is no working copy: going on from what the mirror has")
		f := finder{job: j, repo: p.Repo, push: p, origins: origins, author: author, pushed: j.area.Pushed(j.push.URL).With(j.area.Meant(j.push.URL).Found(have)).Refs}
		refs, err := f.find(ctx)
		if err == nil {
			err = f.repo.Restore(ctx, nil, formerRefs)
		}
		if err != nil {
			return nil, gitfail.From(err, gitfail.Downstream)
		}
		return refs, nil
	}
}

// formerBranch is the one branch of a source that has a commit for each version.
const formerBranch = "refs/heads/master"

// existing is a downstream address, or "" for a directory of this machine that
// is not there yet.
func existing(address string) string {
	dir := LocalPath(address)
	if dir == "" {
		return address
	}
	for _, suffix := range []string{"", ".git"} {
		if _, err := os.Stat(dir + suffix); err == nil {
			return address + suffix
		}
	}
	return ""
}

// finder looks through what the mirror has.
type finder struct {
	*job
	repo    *repo.Repo
	push    *push.Push
	origins map[string]string // by name here: the object downstream
	author  string
	pushed  map[string]string // by name downstream
}

// find brings the refs' objects here and gives those refs that are this
// import's work.
func (f *finder) find(ctx context.Context) (map[string]string, error) {
	wanted, _ := f.policy.Wanted(f.origins)
	ours := make(map[string]bool)
	var specs strings.Builder
	for _, w := range wanted {
		ours[w.Src] = f.pushed[w.Dst] == w.Object
		if w.Src == formerBranch || strings.HasPrefix(w.Src, "refs/tags/") {
			fmt.Fprintf(&specs, "+%s:%s%s\n", w.Dst, formerRefs, strings.TrimPrefix(w.Src, "refs/"))
		}
	}
	call := f.repo.Call("fetch", "--quiet", "--atomic", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--stdin", "--", f.push.Access.URL)
	call.Protocols, call.Access = lsrefs.Protocols(f.push.Access.URL), &f.push.Access
	call.Stdin, call.Stderr = strings.NewReader(specs.String()), f.progress
	if err := f.repo.Git.Run(ctx, call); err != nil {
		return nil, err
	}
	out, err := f.repo.Git.Output(ctx, f.repo.Call("for-each-ref", "--merged="+f.origins[formerBranch],
		"--format=%(refname) %(objectname) %(authorname)%(taggername)", formerRefs))
	if err != nil {
		return nil, err
	}
	refs := make(map[string]string)
	for line := range strings.Lines(out) {
		name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		object, by, _ := strings.Cut(rest, " ")
		if name = "refs/" + strings.TrimPrefix(name, formerRefs); by == f.author || ours[name] {
			refs[name] = object
		}
	}
	if refs[formerBranch] == "" {
		fmt.Fprintln(f.Out, ".. warning: somebody else made the mirror's branch master: a history of its own is begun beside it")
		return nil, nil
	}
	return refs, nil
}
