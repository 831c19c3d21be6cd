# A plugin of Breezy for tests: it changes branches at random, and tells what
# they hold.

import hashlib
import json
import os
import random
import shutil

from breezy import errors, transport
from breezy.branch import Branch
from breezy.commands import Command, register_command
from breezy.controldir import ControlDir
from breezy.workingtree import WorkingTree

FILES = ['a', 'b', 'A', 'd', 'd/a', 'd/b', 'd/e', 'd/e/x', 'e', 'e/a', 'e/d/b', 'with space', 'gr\u00f6\u00dfe', 'q"uote', 'd.x', 'back\\slash']
USERS = ['Ann <ann@example.com>', 'bob', 'J\u00f6rg <j@example.org>', 'a@example.com', '"Q" <q@example.com>', 'odd > name <x', 'no > mail']
MESSAGES = ['plain', 'two\nlines', 'Gr\u00fc\u00dfe', ' spaces \n', '']
TAGS = ['v1', 'v2', 'rel/1.0', 'three']


class Changer:
    def __init__(self, root, seed):
        self.root, self.r = root, random.Random(seed)

    def tree(self, name):
        return WorkingTree.open(os.path.join(self.root, name))

    def change(self, tree):
        r = self.r
        kind, name = r.randrange(9), r.choice(FILES)
        full = tree.abspath(name)
        versioned = [p for p, e in tree.iter_entries_by_dir() if p]
        if kind == 0 and versioned:
            tree.remove([r.choice(versioned)], keep_files=False, force=True)
        elif kind < 3 and versioned:
            source = r.choice(versioned)
            if not os.path.lexists(full) and tree.is_versioned(os.path.dirname(name)) and not (name + '/').startswith(source + '/'):
                if tree.kind(os.path.dirname(name)) == 'directory':
                    tree.rename_one(source, name)
        elif kind == 3 and len(versioned) > 1:  # two change places
            one, two = r.sample(versioned, 2)
            if not (one + '/').startswith(two + '/') and not (two + '/').startswith(one + '/'):
                tree.rename_one(one, 'between')
                tree.rename_one(two, one)
                tree.rename_one('between', two)
        elif kind == 4 and versioned:  # another kind at the same place
            path = r.choice(versioned)
            full = tree.abspath(path)
            if os.path.isdir(full) and not os.path.islink(full):
                for child in [p for p in versioned if p.startswith(path + '/')]:
                    tree.unversion([child]) if tree.is_versioned(child) else None
                shutil.rmtree(full)
                os.symlink('a', full) if r.random() < 0.5 else open(full, 'w').close()
            else:
                if os.path.lexists(full):
                    os.unlink(full)
                os.symlink('b', full) if r.random() < 0.5 else os.mkdir(full)
        else:
            os.makedirs(os.path.dirname(full), exist_ok=True)
            if os.path.isdir(full) and not os.path.islink(full):
                return
            if kind == 5:
                if os.path.lexists(full):
                    os.unlink(full)
                os.symlink(r.choice(['a', '../b', 'nowhere \u00fc']), full)
            elif kind == 6 and os.path.isfile(full) and not os.path.islink(full):
                os.chmod(full, r.choice([0o644, 0o755]))
            else:
                if os.path.islink(full):
                    os.unlink(full)
                with open(full, 'wb') as f:
                    f.write(r.choice([b'', b'one\n', b'two\r\n', b'\0\xff']) + b'%d' % r.randrange(100))

    def commit(self, tree):
        r = self.r
        tree.smart_add([tree.basedir])
        tree.commit(
            r.choice(MESSAGES) + ('' if r.random() < 0.1 else ' %d' % r.randrange(10**6)), committer=r.choice(USERS),
            timestamp=r.choice([0, 1, 1500000000.7, 5000000000, -5000]), timezone=r.choice([0, 3600, -12600, 20700, -7200]),
            authors=r.choice([None, None, ['Ann <ann@example.com>', 'bob'], ['Carl <c@example.com>']]))

    def step(self):
        r = self.r
        names = sorted(os.listdir(self.root))
        name = r.choice(names)
        tree = self.tree(name)
        what = r.randrange(14)
        if what < 7:
            with tree.lock_write():
                for _ in range(r.randint(1, 5)):
                    try:
                        self.change(tree)
                    except (OSError, errors.BzrError):
                        pass
                self.save(tree)
        elif what < 10:
            other = self.tree(r.choice(names))
            if other.branch.last_revision() != tree.branch.last_revision():
                try:
                    tree.merge_from_branch(other.branch)
                except errors.BzrError:
                    tree.revert(backups=False)
                    return
                tree.set_conflicts([])
                self.save(tree)
        elif what == 10:
            with tree.lock_write():
                history = [rev for rev, _, _, _ in tree.branch.iter_merge_sorted_revisions()]
                tree.branch.tags.set_tag(r.choice(TAGS), r.choice(history))
        elif what == 11:
            try:
                tree.branch.tags.delete_tag(r.choice(TAGS))
            except errors.NoSuchTag:
                pass
        elif what == 12:  # uncommit: the branch goes back
            with tree.lock_write():
                tip = tree.branch.last_revision()
                parents = tree.branch.repository.get_revision(tip).parent_ids
                if parents and tree.branch.repository.has_revision(parents[0]):
                    tree.branch.generate_revision_history(parents[0])
                    tree.set_parent_ids([parents[0]])
                    tree.revert(backups=False)
        elif what == 13:  # a branch begins anew from another
            others = [n for n in names if n != name]
            if others:
                shutil.rmtree(os.path.join(self.root, name))
                self.tree(r.choice(others)).controldir.sprout(os.path.join(self.root, name))

    def save(self, tree):
        try:
            self.commit(tree)
        except (errors.BzrError, OSError):
            tree.set_conflicts([])
            tree.revert(backups=False)
            if tree.branch.last_revision() == b'null:':
                tree.commit('nothing')


class cmd_random_steps(Command):
    __doc__ = 'Change branches.'
    takes_args = ['root', 'seed', 'steps']

    def run(self, root, seed, steps):
        c = Changer(root, int(seed))
        for name in ('one', 'two'):
            place = os.path.join(root, name)
            if os.path.exists(place):
                continue
            if name == 'one':
                tree = ControlDir.create_standalone_workingtree(place)
                with open(os.path.join(place, 'start'), 'w') as f:
                    f.write('start\n')
                c.commit(tree)
            else:
                c.tree('one').controldir.sprout(place)
        for _ in range(int(steps)):
            try:
                c.step()
            except Exception:  # whatever this history does not allow is undone
                for name in os.listdir(root):
                    tree = c.tree(name)
                    for entry in set(os.listdir(tree.basedir)) - {'.bzr'}:
                        path = os.path.join(tree.basedir, entry)
                        shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
                    tree.set_conflicts([])
                    tree.revert(backups=False)


class cmd_tell_all(Command):
    __doc__ = 'Tell what branches hold, as JSON.'
    takes_args = ['root']

    def run(self, root):
        answer = {}
        for name in sorted(os.listdir(root)):
            branch = Branch.open(os.path.join(root, name))
            with branch.lock_read():
                repo, revisions = branch.repository, {}
                graph = repo.get_graph()
                for revid, _ in graph.iter_ancestry([branch.last_revision()]):
                    if revid == b'null:' or not repo.has_revision(revid):
                        continue
                    rev, tree, files = repo.get_revision(revid), repo.revision_tree(revid), {}
                    with tree.lock_read():
                        for path, entry in tree.iter_entries_by_dir():
                            if entry.kind == 'file':
                                files[path] = ('100755 ' if tree.is_executable(path) else '100644 ') + blob(tree.get_file_text(path))
                            elif entry.kind == 'symlink':
                                files[path] = '120000 ' + blob(tree.get_symlink_target(path).encode('utf-8'))
                    revisions[revid.decode()] = {
                        'parents': [p.decode() for p in rev.parent_ids if repo.has_revision(p)],
                        'time': max(0, int(rev.timestamp)), 'text': rev.message, 'files': files,
                    }
                answer[name] = {
                    'tip': branch.last_revision().decode(), 'revisions': revisions,
                    'tags': {t: r.decode() for t, r in branch.tags.get_tag_dict().items()},
                }
        self.outf.write(json.dumps(answer) + '\n')


def blob(data):
    return hashlib.sha1(b'blob %d\0' % len(data) + data).hexdigest()


register_command(cmd_random_steps)
register_command(cmd_tell_all)
