package confgit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core/childproc"
)

// writeCommit begins a commit in the form that git fast-import reads. from is
// the commit that it goes on from, or "".
func writeCommit(stream *bytes.Buffer, branch, from, message string, at time.Time) {
	fmt.Fprintf(stream, "commit %s\ncommitter Lorry Controller <lorry-controller@localhost> %d +0000\n", branch, at.Unix())
	fmt.Fprintf(stream, "data %d\n%s\n", len(message), message)
	if from != "" {
		fmt.Fprintf(stream, "from %s\n", from)
	}
}

func writeFile(stream *bytes.Buffer, name string, data []byte) {
	fmt.Fprintf(stream, "M 100644 inline %s\ndata %d\n%s\n", name, len(data), data)
}

// makeSample makes a small repository, so that there is something to mirror.
// One that is there is left alone.
func makeSample(ctx context.Context, git *childproc.Git, dir string, now time.Time) (string, error) {
	dir = absolutePath(dir)
	if _, err := os.Stat(filepath.Join(dir, "refs", "heads", "main")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	if err := git.Run(ctx, childproc.GitCall{Args: []string{"init", "--quiet", "--bare", "--", dir}}); err != nil {
		return "", err
	}
	const main, topic = "refs/heads/main", "refs/heads/topic"
	var stream bytes.Buffer
	writeCommit(&stream, main, "", "Say hello", now.Add(-2*time.Hour))
	writeFile(&stream, "README.md", []byte("# Sample\n\nA small repository to be mirrored.\n"))
	writeCommit(&stream, main, "", "Count to three", now.Add(-time.Hour))
	writeFile(&stream, "count.txt", []byte("one\ntwo\nthree\n"))
	stream.WriteString("reset refs/tags/v1.0\nfrom refs/heads/main\n\n")
	writeCommit(&stream, topic, main, "Count further", now)
	writeFile(&stream, "count.txt", []byte("one\ntwo\nthree\nfour\n"))
	return dir, git.Run(ctx, childproc.GitCall{GitDir: dir, Args: []string{"fast-import", "--quiet", "--force"}, Stdin: &stream})
}

// checkout gives the top directory of the git repository that dir is in, if it
// is complete: not shallow, not partial, with branches whose objects are there.
func checkout(ctx context.Context, git *childproc.Git, dir string) (string, bool) {
	if dir == "" {
		return "", false
	}
	top := absolutePath(dir)
	for {
		info, err := os.Stat(filepath.Join(top, ".git"))
		if err == nil && info.IsDir() {
			break
		}
		if err == nil || top == filepath.Dir(top) {
			return "", false // a linked work tree or submodule is left alone
		}
		top = filepath.Dir(top)
	}
	ask := func(ctx context.Context, args ...string) (string, error) {
		text, err := git.Output(ctx, childproc.GitCall{GitDir: filepath.Join(top, ".git"), Args: args})
		return strings.TrimSpace(text), err
	}
	if shallow, err := ask(ctx, "rev-parse", "--is-shallow-repository"); err != nil || shallow != "false" {
		return "", false
	}
	if promised, err := ask(ctx, "config", "--get-regexp", `^(remote\..*\.promisor|extensions\.partialclone)$`); err == nil && promised != "" {
		return "", false
	}
	if head, err := ask(ctx, "for-each-ref", "--count=1", "--format=%(objectname)", "refs/heads/"); err != nil || head == "" {
		return "", false
	}
	// Looking at every object takes long in a large repository; one that holds
	// out that long is taken for whole.
	const patience = time.Second
	walk, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := ask(walk, "rev-list", "--objects", "--quiet", "--branches", "--tags")
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return "", false
	}
	return top, true
}

// starterConf is the first lorry-controller.conf.
const starterConf = `[
    {
        "comment": "What to mirror. README.md beside this file explains the keys; keys that begin with comment are not read.",
        "comment-2": "This section mirrors what the .lorry files say, each to PREFIX/NAME on the Downstream Host.",
        "type": "lorries",
        "interval": "10m",
        "prefix": "",
        "globs": [
            "mirrors/*.lorry",
            "*.lorry"
        ]
    }
]
`

// starterExample is not named by starterConf; it is there to be copied.
const starterExample = `{
    "example/project": {
        "type": "git",
        "url": "https://git.example.com/example/project.git"
    }
}
`

const starterReadme = `# CONFGIT

This repository says what Lorry Controller mirrors. Clone it, change it, commit
and push: the change is read within a few minutes, or at once with
` + "`lorryctl config read`" + `.

` + "`lorry-controller.conf`" + ` is a JSON list of sections. There are two kinds.

**.lorry files** (` + "`\"type\": \"lorries\"`" + `)

* ` + "`globs`" + `: the .lorry files of this section; see examples/example.lorry.
* ` + "`prefix`" + `: goes before the names in them to give the downstream path.
* ` + "`interval`" + `: how often to mirror: a number and m, h or d.

**Upstream Hosts** (` + "`\"type\": \"gitlab\"`" + `, gitea, gerrit, gitano, trove, local)

* ` + "`host`" + `: the name of the host; ` + "`protocol`" + `: ssh, https or http.
* ` + "`prefixmap`" + `: upstream prefixes and the downstream prefixes that they are
  mirrored to; the first that fits counts, an empty one fits everything.
* ` + "`ignore`" + `: patterns of repositories to leave out.
* ` + "`ls-interval`" + `: how often to list the host; ` + "`interval`" + `: how often to mirror.
* ` + "`auth`" + ` or ` + "`private-token`" + `: credentials; keep this repository private then.

    {
        "type": "gitlab",
        "host": "gitlab.example.com",
        "protocol": "https",
        "private-token": "...",
        "prefixmap": {"group": "gitlab/group"},
        "ignore": ["group/private-*"],
        "ls-interval": "4h",
        "interval": "2h"
    }
`
