# An extension of Mercurial that writes a repository as a stream for git
# fast-import, and lists the heads of a remote one. It is given to hg by a
# private configuration and never installed.

import hashlib
import re
import time
from urllib.request import HTTPRedirectHandler

from mercurial import hg, registrar, scmutil, templatefilters
from mercurial.node import bin, hex

cmdtable = {}
command = registrar.command(cmdtable)

# A redirect is told, never followed: it could lead anywhere.
HTTPRedirectHandler.redirect_request = lambda *args: None

SCRATCH = b'refs/lorry/import'


def uisetup(ui):
    """Progress is told as git tells it, a few times a second."""
    last = [0.0]

    def bar(topic, pos, item, unit, total):
        now = time.monotonic()
        if pos is None or now - last[0] < 0.2:
            return
        last[0] = now
        words = b' '.join(re.sub(b'[^a-z ]', b'', topic.lower()).split()[:2])
        if not words.startswith(b'converting'):
            words = b'pulling ' + words
        if total:
            text = b'%s: %3d%% (%d/%d)' % (words.capitalize(), 100 * min(pos, total) // total, pos, total)
        else:
            text = b'%s: %d' % (words.capitalize(), pos)
        ui.write_err(text + b'\r')
        ui.ferr.flush()

    ui.__class__.makeprogress = lambda self, topic, unit=b'', total=None: scmutil.progress(self, bar, topic, unit, total)


def utf8(text):
    """Bytes that are no UTF-8 are taken for Latin-1, where all bytes are."""
    try:
        text.decode('utf-8')
        return text
    except UnicodeDecodeError:
        return text.decode('latin-1').encode('utf-8')


def refname(name):
    """What git does not take in a name becomes "_"."""
    name = re.sub(br'([\[ ~^:?\\*]|\.\.)', b'_', utf8(name))
    if name[-1:] in (b'/', b'.'):
        name = name[:-1] + b'_'
    name = b'/'.join([b'_' + p[1:] if p[:1] == b'.' else p for p in name.split(b'/')])
    name = re.sub(br'[\x00-\x20\x7f]|@\{|^-|^/|//|(?<=\.)lock(?=/|$)', b'_', name)
    return re.sub(b'_+', b'_', name) or b'_'


def branchname(name):
    if name in (b'default', b'HEAD', b''):
        return b'master'
    return refname(name)


def unlike(ui, kind, names, wish):
    """A name for each of NAMES. Git has no two alike, nor one below another as
    in a and a/b: default and what keeps its name choose first, in order."""
    given, taken, above = {}, set(), set()
    for name in sorted(names, key=lambda n: (n != b'default', wish(n) != n, n)):
        flat = wish(name).replace(b'/', b'_')
        for new in wish(name), flat, flat + b'-' + hashlib.sha256(name).hexdigest()[:8].encode():
            dirs = [new[:m.start()] for m in re.finditer(b'/', new)]
            if new not in taken and new not in above and not taken.intersection(dirs):
                break
        if new != wish(name):
            ui.warn(b'warning: the %s %s becomes %s in git, where another one has its name\n' % (kind, utf8(name), new))
        given[name] = new
        taken.add(new)
        above.update(dirs)
    return given


def person(user):
    user = utf8(user).strip(b'"')
    m = re.match(br'([^<]+) (<[^>]*>)$', user)
    if m:
        name, mail = m.group(1), m.group(2)
    else:
        name, mail = templatefilters.person(user), b'<%s>' % templatefilters.email(user)
        if b'@' not in mail:
            mail = b'<devnull@localhost>'
    m = re.match(br'^["]([^"]+)["]$', name)
    if m:
        name = m.group(1)
    clean = lambda text: re.sub(br'[<>\x00-\x1f]', b'', text)
    return b'%s <%s>' % (clean(name), clean(mail))


def date(ctx):
    seconds, offset = ctx.date()
    zone = b'%+03d%02d' % (-offset // 3600, (-offset % 3600) // 60)
    if abs(int(zone)) > 1400:
        zone = b'+0000'
    return b'%d %s' % (max(0, int(seconds)), zone)


def dotgit(path):
    """Whether git would take a part of the path for a repository."""
    for part in path.split(b'/'):
        low = part.decode('utf-8', 'replace').lower()
        low = re.sub('[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]', '', low)
        low = re.split(r'[:\\]', low)[0].rstrip(' .')
        if part in (b'', b'.', b'..') or low in ('.git', 'git~1'):
            return True
    return False


def quote(path):
    return b'"' + re.sub(br'[^\x23-\x5b\x5d-\x7e\x21\x20]', lambda m: b'\\%03o' % ord(m.group(0)), path) + b'"'


def data(out, content):
    out.write(b'data %d\n' % len(content))
    out.write(content)
    out.write(b'\n')


def commit(ui, out, repo, ctx, known):
    parents = [p for p in repo.changelog.parentrevs(ctx.rev()) if p >= 0]
    out.write(b'reset %s\n' % SCRATCH)
    out.write(b'commit %s\nmark :%d\n' % (SCRATCH, ctx.rev() + 1))
    out.write(b'committer %s %s\n' % (person(ctx.user()), date(ctx)))
    data(out, utf8(ctx.description()) + b'\n')
    for word, p in zip((b'from', b'merge'), parents):
        out.write(b'%s %s\n' % (word, known.get(repo[p].hex()) or b':%d' % (p + 1)))
    if parents:
        status = repo.status(parents[0], ctx.rev())
        changed, removed = status.modified + status.added, status.removed
    else:
        changed, removed = list(ctx.manifest()), []
    for path in removed:
        if path != b'.hgtags' and not dotgit(utf8(path)):
            out.write(b'D %s\n' % quote(utf8(path)))
    for path in sorted(changed):
        name = utf8(path)
        if path == b'.hgtags':
            continue
        if dotgit(name):
            ui.warn(b'left out %s: git cannot hold it\n' % name)
            continue
        f = ctx[path]
        mode = b'120000' if b'l' in f.flags() else b'100755' if b'x' in f.flags() else b'100644'
        out.write(b'M %s inline %s\n' % (mode, quote(name)))
        data(out, f.data())
    out.write(b'\n')


def branch_heads(repo, listed):
    """The heads of each branch, the newest last: those that upstream listed. It
    may know more than this clone, such as which changesets are obsolete, and
    the order in which it got them."""
    heads = {}
    for node in listed:
        if repo.changelog.hasnode(node):
            heads.setdefault(repo[node].branch(), []).append(node)
    for branch, nodes in repo.branchmap().items():  # one that came since then
        heads.setdefault(branch, list(nodes))
    return heads


@command(b'lorry-export', [], b'KNOWN LISTED RESULT')
def export(ui, repo, known, listed, result):
    """write what KNOWN does not have, and the refs to RESULT"""
    have = {}
    with open(known, 'rb') as f:
        for line in f:
            node, _, sha = line.strip().partition(b' ')
            have[node] = sha
    out, made = ui.fout, []
    repo = repo.filtered(b'visible')
    new = [rev for rev in repo if repo[rev].hex() not in have]
    if any(b'.hgsub' in repo[rev].files() for rev in new):
        ui.warn(b'warning: subrepositories are not converted, only .hgsub and .hgsubstate\n')
    with ui.makeprogress(b'converting changesets', total=len(new)) as progress:
        for rev in new:
            ctx = repo[rev]
            commit(ui, out, repo, ctx, have)
            made.append((rev + 1, ctx.hex()))
            progress.increment()
    out.flush()
    with open(result, 'wb') as f:
        for mark, node in made:
            f.write(b'commit %d %s\n' % (mark, node))
        with open(listed, 'rb') as there:
            heads_of = branch_heads(repo, [bin(node) for node in there.read().split()])
        branches = unlike(ui, b'branch', list(heads_of), branchname)
        for branch, heads in sorted(heads_of.items()):
            opened = [h for h in heads if not repo[h].closesbranch()]
            tip = (opened or heads)[-1]
            f.write(b'branch refs/heads/%s %s\n' % (branches[branch], repo[tip].hex()))
            for h in opened:
                if h != tip:
                    f.write(b'head refs/hg/heads/%s/%s %s\n' % (branches[branch], repo[h].hex()[:12], repo[h].hex()))
        tags = [(tag, node) for tag, node in repo.tagslist() if tag != b'tip' and node in repo]
        names = unlike(ui, b'tag', [tag for tag, node in tags], refname)
        for tag, node in tags:
            f.write(b'tag refs/tags/%s %s\n' % (names[tag], repo[node].hex()))
        f.write(b'end\n')


def open_peer(ui, url):
    path = url
    try:
        from mercurial.utils import urlutil

        path = urlutil.get_unique_pull_path_obj(b'lorry', ui, url)
    except (ImportError, AttributeError):
        pass
    return hg.peer(ui, {}, path)


@command(b'lorry-gone', [(b'', b'insecure', None, b'')], b'LISTED URL')
def gone(ui, repo, listed, url, **opts):
    """tell which heads the repository at URL, which listed its own, has no more"""
    repo = repo.filtered(b'visible')
    with open(listed, 'rb') as f:
        there = [bin(node) for node in f.read().split()]
    there = [node for node in there if repo.changelog.hasnode(node)]
    heads = [repo[rev].node() for rev in repo.revs(b'heads(all()) - ::%ln', there)]
    if not heads:
        return
    peer = open_peer(ui, url)
    try:
        for i in range(0, len(heads), 50) if peer.capable(b'known') else ():
            asked = heads[i:i + 50]
            with peer.commandexecutor() as e:
                answers = e.callcommand(b'known', {b'nodes': asked}).result()
            for node, known in zip(asked, answers):
                if not known:
                    ui.write(b'%s\n' % hex(node)[:12])
    finally:
        peer.close()


@command(b'lorry-heads', [(b'', b'insecure', None, b''), (b'', b'marks', None, b'')], b'URL', norepo=True)
def heads(ui, url, **opts):
    """list the heads of the branches of a repository"""
    peer = open_peer(ui, url)
    try:
        with peer.commandexecutor() as e:
            branches = e.callcommand(b'branchmap', {}).result()
        marks = {}
        if opts.get('marks'):
            with peer.commandexecutor() as e:
                marks = e.callcommand(b'listkeys', {b'namespace': b'bookmarks'}).result()
    finally:
        peer.close()
    for branch, nodes in sorted(branches.items()):
        ui.write(b'refs/heads/%s %s\n' % (branchname(branch), b','.join(hex(n) for n in nodes)))
    marks.pop(b'@', None)
    names = unlike(ui, b'bookmark', list(marks), refname)
    for mark, node in sorted(marks.items()):
        ui.write(b'bookmark refs/heads/%s %s\n' % (names[mark], node))
