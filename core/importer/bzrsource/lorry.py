# A plugin of Breezy that tells the tips of branches, holds a run to the places
# that it is for, and answers for credentials. It is named to brz by its
# environment and never installed.

import hashlib
import json
import os
import re
import sys
import time
from urllib.parse import urlsplit

import breezy.branch
import breezy.config
import breezy.controldir
import breezy.errors
import breezy.trace
from breezy import urlutils
from breezy.commands import Command, register_command


def access():
    """What this run may use: read once, from a descriptor of its own."""
    with open(int(os.environ['LORRY_ACCESS_FD']), 'rb', closefd=False) as f:
        f.seek(0)
        return json.loads(f.read().decode('utf-8'))


ACCESS = access()


def place(url):
    parts = urlsplit(url)
    scheme = parts.scheme
    for prefix in ('readonly+', 'chroot-'):
        if scheme.startswith(prefix):
            scheme = scheme[len(prefix):]
    return scheme, parts.hostname or '', parts.port, parts.path


def allowed(url):
    """Whether a branch may lead there: the hosts that were named, the working
    area, and for a branch on this machine its own directory and those above."""
    scheme, host, port, path = place(url)
    if scheme == 'file':
        path = os.path.realpath(urlutils.local_path_from_url(url)).rstrip('/') + '/'
        return any(path.startswith(p) or p.startswith(path) for p in ACCESS['paths'])
    if scheme in ('memory', 'filtered'):
        return True
    return any((scheme, host, port) == tuple(h) for h in ACCESS['hosts']) or \
        ACCESS['launchpad'] and (host == 'launchpad.net' or host.endswith('.launchpad.net'))


def check(transport):
    if not allowed(transport.base):
        raise breezy.errors.CommandError('the branch leads to %s, which is not its own place' % urlsplit(transport.base)._replace(netloc=place(transport.base)[1]).geturl())


breezy.controldir.ControlDir.hooks.install_named_hook('pre_open', check, 'lorry')


def tell_progress():
    """Progress is told as git tells it, a few times a second."""
    from breezy.plugins.fastimport.exporter import BzrFastExporter
    last = [0.0]

    def report(self, done, details=''):
        now, total = time.monotonic(), getattr(self, '_commit_total', None)
        if done and now - last[0] >= 0.2:
            last[0] = now
            share = '%3d%% (%d/%d)' % (100 * min(done, total) // total, done, total) if total else str(done)
            sys.stderr.write('Converting revisions: %s\r' % share)
            sys.stderr.flush()

    BzrFastExporter.report_progress = report


def tag_name(tag):
    """What git does not take in a name becomes "_"."""
    from breezy.plugins.fastimport.exporter import sanitize_ref_name_for_git
    name = re.sub(r'^[./]', '_', re.sub('//+', '/', tag))
    name = re.sub(r'\.lock(?=/)', '_', name)
    return sanitize_ref_name_for_git(b'refs/tags/' + name.encode('utf-8')).decode('utf-8')[len('refs/tags/'):]


def unlike(tags):
    """A name for each tag. Git has no two alike, nor one below another as in a
    and a/b: what keeps its name chooses first, in order."""
    given, taken, above = {}, set(), set()
    for tag in sorted(tags, key=lambda t: (tag_name(t) != t, t)):
        flat = tag_name(tag).replace('/', '_')
        for new in tag_name(tag), flat, flat + '-' + hashlib.sha256(tag.encode('utf-8')).hexdigest()[:8]:
            dirs = [new[:m.start()] for m in re.finditer('/', new)]
            if new not in taken and new not in above and not taken.intersection(dirs):
                break
        if new != tag:
            breezy.trace.warning('the tag %s becomes %s in git', tag, new)
        given[tag] = new
        taken.add(new)
        above.update(dirs)
    return given


def name_tags():
    from breezy.plugins.fastimport.exporter import BzrFastExporter
    emit = BzrFastExporter.emit_tags

    def emit_tags(self):
        tags = self.branch.tags.get_tag_dict()
        names = unlike(tags)
        renamed = {names[tag]: revision for tag, revision in tags.items()}
        self.branch.tags.get_tag_dict = lambda: renamed
        emit(self)

    BzrFastExporter.emit_tags = emit_tags


def tell_changes():
    """brz's own commands lose files where directories are renamed together with
    what is in them, and where a file becomes a directory. These take away
    everything that is not where it was, and write it where it is."""
    from breezy.plugins.fastimport import helpers
    from breezy.plugins.fastimport.exporter import BzrFastExporter
    from fastimport.commands import FileDeleteCommand, FileModifyCommand

    def within(tree, dirs):
        """The files below some directories, which have them by their place there."""
        if not dirs:
            return
        for path, entry in tree.iter_entries_by_dir():
            above = path
            while above and above not in dirs:
                above = above.rpartition('/')[0]
            if above in dirs and entry.kind != 'directory':
                yield path, entry.kind

    def commands(self, tree_old, tree_new):
        changes = tree_new.changes_from(tree_old)
        moved = [c for c in changes.renamed if c.kind[0] == 'directory']
        gone = {c.path[0] for c in changes.removed + changes.renamed + changes.kind_changed if c.kind[0] != 'directory'}
        gone.update(path for path, _ in within(tree_old, {c.path[0] for c in moved}))
        there = {c.path[1]: c.kind[1] for c in changes.added + changes.copied + changes.renamed + changes.kind_changed + changes.modified}
        there.update(within(tree_new, {c.path[1] for c in moved}))
        for path in sorted(gone):
            yield FileDeleteCommand(path.encode('utf-8'))
        files = []
        for path, kind in sorted(there.items()):
            if kind == 'file':
                files.append((path, (path, helpers.kind_to_mode('file', tree_new.is_executable(path)))))
            elif kind == 'symlink':
                target = tree_new.get_symlink_target(path).encode('utf-8')
                yield FileModifyCommand(path.encode('utf-8'), helpers.kind_to_mode('symlink', False), None, target)
            elif kind != 'directory':
                self.warning("cannot export '%s' of kind %s yet - ignoring" % (path, kind))
        for (path, mode), chunks in tree_new.iter_files_bytes(files):
            yield FileModifyCommand(path.encode('utf-8'), mode, None, b''.join(chunks))

    BzrFastExporter._get_filecommands = commands


def hold_people():
    """Git has no time before 1970, no zone further away than 14 hours, and no "<",
    ">" or control character in a name."""
    from fastimport import commands
    plain = commands.format_who_when

    def dated(fields):
        name, mail, seconds, zone = fields
        name, mail = [re.sub(rb'[<>\x00-\x1f]', b'', text) for text in (name, mail)]
        return plain((name, mail, max(0, seconds), zone if zone and abs(zone) <= 14 * 3600 else 0))

    commands.format_who_when = dated


if 'fast-export' in sys.argv[1:2]:
    try:
        tell_progress()
        name_tags()
        tell_changes()
        hold_people()
    except ImportError:  # an older one, which is named otherwise
        pass


def guard_redirects():
    from breezy.transport.http.urllib import HttpTransport
    follow = HttpTransport._redirected_to

    def redirected(self, source, target):
        new = follow(self, source, target)
        if new is not None and not allowed(new.base):
            raise breezy.errors.CommandError('the repository moved to another host')
        return new
    HttpTransport._redirected_to = redirected


guard_redirects()


def get_credentials(self, scheme, host, port=None, user=None, path=None, realm=None):
    for c in ACCESS['credentials']:
        if (scheme, host) == (c['scheme'], c['host']) and (port or None) == c['port'] and (user is None or user == c['user']):
            return {'name': 'lorry', 'user': c['user'], 'password': c['password'], 'scheme': scheme, 'host': host,
                    'port': port, 'path': path, 'realm': realm, 'verify_certificates': None}
    return None


breezy.config.AuthenticationConfig.get_credentials = get_credentials


class cmd_lorry_tips(Command):
    __doc__ = """Tell the tips and tags of branches, as JSON."""
    takes_args = ['location+']
    hidden = True

    def run(self, location_list):
        answer = []
        for location in location_list:
            branch = breezy.branch.Branch.open(location)
            with branch.lock_read():
                tags = branch.tags.get_tag_dict() if branch.supports_tags() else {}
                answer.append({
                    'tip': branch.last_revision().decode('utf-8'),
                    'tags': {t: r.decode('utf-8') for t, r in tags.items()}})
        self.outf.write(json.dumps(answer) + '\n')


class cmd_lorry_keep_tags(Command):
    __doc__ = """Delete the tags of a branch that a list, as JSON, does not name."""
    takes_args = ['location', 'list']
    hidden = True

    def run(self, location, list):
        with open(list, encoding='utf-8') as f:
            keep = set(json.load(f))
        branch = breezy.branch.Branch.open(location)
        with branch.lock_write():
            for tag in branch.tags.get_tag_dict():
                if tag not in keep:
                    branch.tags.delete_tag(tag)


register_command(cmd_lorry_tips)
register_command(cmd_lorry_keep_tags)
