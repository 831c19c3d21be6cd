# An extension of Mercurial for tests: it changes a repository at random, and
# tells what a clone of it has.

import hashlib
import json
import os
import random
import shutil

from mercurial import dispatch, error, hg, merge, registrar, scmutil

cmdtable = {}
command = registrar.command(cmdtable)

FILES = [b'a', b'b', b'A', b'd', b'd/a', b'd/b', b'd/e/x', b'e/a', b'with space', 'gr\u00f6\u00dfe'.encode(), b'-dash', b'q"uote', b'd.x', b'.hgeol', b'new\\back']
TEXTS = [b'', b'one\n', b'two\r\n', b'no newline', b'\0\1\xff', b'deep\n' * 50, b'copy\n']
USERS = [b'Ann <ann@example.com>', b'bob', 'J\u00f6rg <j@example.org>'.encode(), b'"Q" <q@example.com>', b'a@example.com', b'odd > name < here', b'']
DATES = [(0, 0), (-100000, 0), (1, -7200), (2**32 + 5, 0), (5000000000, 19800 * -1), (1500000000, 3600), (1500000000, -20700), (1500000000, 12600), (1500000000, 43200)]
BRANCHES = [b'default', b'stable', b'topic', 'zw\u00f6lf'.encode(), b'two words', b'rel/1']
TAGS = [b'v1', b'v2', b'rel/1.0', b'tag it']
MARKS = [b'mark', b'here', b'@', b'team/x']
MESSAGES = [b'plain', b'two\nlines', 'Gr\u00fc\u00dfe'.encode(), b'tab\t and trailing  ', b'\n\nleading', b'-- \nfrom here']


class changer:
    def __init__(self, ui, repo, seed):
        self.ui, self.repo, self.r = ui, repo, random.Random(seed)

    def visible(self):
        repo = self.repo.unfiltered().filtered(b'visible')
        return repo, [rev for rev in repo]

    def some(self):
        repo, revs = self.visible()
        return repo[self.r.choice(revs)] if revs else None

    def update(self, ctx):
        for name in os.listdir(self.repo.root):  # whatever is in the way
            path = self.path(name)
            if name == b'.hg':
                continue
            elif os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        with self.repo.wlock():
            merge.clean_update(self.repo[ctx.node()])

    def path(self, name):
        return os.path.join(self.repo.root, name)

    def change(self):
        r, name = self.r, self.r.choice(FILES)
        full, kind = self.path(name), r.randrange(8)
        parts = name.split(b'/')
        for i in range(1, len(parts)):  # what is a file in the way goes
            above = self.path(b'/'.join(parts[:i]))
            if os.path.islink(above) or os.path.isfile(above):
                os.unlink(above)
        if os.path.isdir(full) and not os.path.islink(full):
            shutil.rmtree(full)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if kind == 0 and os.path.lexists(full):
            os.unlink(full)
        elif kind == 1 and os.path.isfile(full) and not os.path.islink(full):
            other = self.path(r.choice(FILES))
            if not os.path.lexists(other) and os.path.isdir(os.path.dirname(other)):
                os.rename(full, other)
        elif kind == 2 and os.path.isfile(full) and not os.path.islink(full):
            os.chmod(full, r.choice([0o644, 0o755]))
        else:
            if os.path.lexists(full):
                os.unlink(full)
            if kind == 3:
                os.symlink(r.choice([b'a', b'../b', b'nowhere \xc3\xbc']), full)
            else:
                with open(full, 'wb') as f:
                    f.write(r.choice(TEXTS) + (b'%d' % r.randrange(100) if r.random() < 0.7 else b''))
                os.chmod(full, r.choice([0o644, 0o644, 0o755]))

    def commit(self, extra=None, amend=False):
        repo, r = self.repo, self.r
        extra = dict(extra or {})
        if r.random() < 0.2:
            extra[b'field'] = b'value \xff'
        at, user = r.choice(DATES), r.choice(USERS)
        text = r.choice(MESSAGES) + b' %d' % r.randrange(10**6)
        with repo.wlock():
            scmutil.addremove(repo, scmutil.matchall(repo), b'', scmutil.getuipathfn(repo), {b'similarity': b'60'})
            if not amend:
                repo.commit(text, user, at, extra=extra)
        if amend:
            self.run(b'commit', b'--amend', b'-q', b'-m', text.strip(), b'-u', user or b'x', b'-d', b'%d %d' % at)


    def run(self, *args):
        req = dispatch.request([b'-R', self.repo.root, b'--config', b'ui.merge=internal:local'] + list(args), self.ui.copy())
        self.ui.pushbuffer(error=True)
        try:
            code = dispatch.dispatch(req)
        finally:
            self.ui.popbuffer()
        self.repo = hg.repository(self.ui, self.repo.root)
        return code

    def step(self):
        r, repo = self.r, self.repo
        what = r.randrange(24)
        here = repo[b'.']
        if what < 9 or not len(repo):
            for _ in range(r.randint(1, 4)):
                self.change()
            self.commit()
        elif what < 12:
            self.update(self.some())
            if r.random() < 0.6:
                with repo.wlock():
                    repo.dirstate.setbranch(r.choice(BRANCHES))
            self.change()
            self.commit()
        elif what < 15:
            other = self.some()
            if other.rev() != here.rev() and not repo.revs(b'%d::%d or %d::%d', here.rev(), other.rev(), other.rev(), here.rev()):
                if self.run(b'merge', b'-q', b'-r', other.hex()) not in (0, 1):
                    self.update(self.some())
                if r.random() < 0.5:
                    self.change()
                self.commit()
        elif what == 15:
            self.commit({b'close': b'1'})
        elif what < 18:
            which = r.choice(TAGS)
            args = [b'tag', b'-f', b'-q', b'-u', b'ann', b'-d', b'%d 0' % r.randrange(10**9)]
            if r.random() < 0.3:
                self.run(*(args + [b'--remove', which]))
            else:
                self.run(*(args + [b'-r', self.some().hex(), which]))
        elif what == 18:
            mark = r.choice(MARKS)
            self.run(b'bookmark', b'-q', b'-f', b'-r', self.some().hex(), mark)
        elif what == 19:
            self.run(b'bookmark', b'-q', b'--delete', r.choice(MARKS))
        elif what == 20:
            if len(here.parents()) == 1 and here.mutable():
                self.change()
                self.commit(amend=True)
        elif what == 21:
            # An obsolete changeset, with or without what came after it, and one
            # with two successors.
            a, b = self.some(), self.some()
            if a.mutable() and a.rev() != b.rev() and not repo.revs(b'%d::%d', a.rev(), b.rev()):
                self.run(b'debugobsolete', a.hex(), b.hex())
        elif what == 22:
            self.run(b'phase', b'-f', r.choice([b'--secret', b'--draft', b'--draft', b'--public']), b'-r', self.some().hex())
        elif what == 23:
            a = self.some()
            if a.rev() > 3:
                self.run(b'debugstrip', b'--no-backup', a.hex())
        try:
            self.repo[b'.'].branch()
            if not self.visible()[0].changelog.hasnode(self.repo[b'.'].node()):
                self.update(self.some())
        except error.RepoLookupError:
            self.update(self.some())


@command(b'random-steps', [], b'SEED STEPS')
def randomsteps(ui, repo, seed, steps):
    c = changer(ui, repo, int(seed))
    for _ in range(int(steps)):
        try:
            c.step()
        except (OSError, error.Abort, error.RepoLookupError):
            c.repo = hg.repository(ui, repo.root)  # a step that this history does not allow
            if len(c.repo):
                c.update(c.some())
    if not list(c.repo.unfiltered().filtered(b'served')):
        c.run(b'phase', b'-f', b'--draft', b'-r', b'all()')


def blob(data):
    return hashlib.sha1(b'blob %d\0' % len(data) + data).hexdigest()


@command(b'tell-all', [], b'')
def tellall(ui, repo):
    """tell, as JSON, what whoever clones this can see"""
    repo = repo.unfiltered().filtered(b'served')
    text = lambda b: b.decode('utf-8', 'surrogateescape')
    changesets = {}
    for rev in repo:
        ctx = repo[rev]
        files = {}
        for path in ctx.manifest():
            if path != b'.hgtags':
                f = ctx[path]
                mode = '120000' if b'l' in f.flags() else '100755' if b'x' in f.flags() else '100644'
                files[text(path)] = mode + ' ' + blob(f.data())
        changesets[text(ctx.hex())] = {
            'parents': [text(p.hex()) for p in ctx.parents() if p.rev() >= 0],
            'user': text(ctx.user()), 'time': int(max(0, ctx.date()[0])), 'text': text(ctx.description()), 'files': files,
        }
    branches = {text(b): text(repo[repo.branchtip(b)].hex()) for b in repo.branchmap()}
    given = {text(t): text(repo[n].hex()) for t, n in repo.tagslist() if t != b'tip' and n in repo}
    marks = {text(m): text(repo[n].hex()) for m, n in repo._bookmarks.items() if n in repo and m != b'@'}
    ui.write(json.dumps({'changesets': changesets, 'branches': branches, 'tags': given, 'marks': marks}).encode() + b'\n')
