"""Folders: what is there, under whatever name; flags, copies, removals; others who change everything meanwhile."""

import errno
import os

import pytest

from daemons.stores import maildir
from daemons.stores.maildelivery import Delivery, unique
from daemons.stores.maildir import Expunged, Folder
from daemons.stores.maildirquota import OverQuota, Quota
from daemons.wire import maildirnames


@pytest.fixture
def folder(tmp_path):
    with Folder(str(tmp_path / "box")) as made:
        made.create()
        yield made


def deliver(folder, data=b"Subject: x\r\n\r\nx\r\n", **how):
    with Delivery(folder) as delivery:
        delivery.write(data)
        return delivery.keep(**how)


def put(folder, name, data=b"x\n"):
    """As another program puts it there."""
    with open(os.path.join(folder.path, name), "wb") as file:
        file.write(data)


def other(folder):
    """The same folder, as somebody else sees it."""
    return Folder(os.fsdecode(folder.path))


def there(folder):
    return sorted(place + b"/" + name for place in (b"new", b"cur") for name in os.listdir(folder.path + b"/" + place))


def read(folder, message):
    with folder.open(message) as file:
        return file.read()


# ------------------------------------------------------------------ folders

def test_folders_are_made_once(tmp_path):
    inbox = Folder(str(tmp_path / "a" / "b" / "box"))
    inbox.create()
    inbox.create()
    sent = inbox.beside(b"Sent.2026")
    sent.create()
    assert inbox.names() == [b"Sent.2026"]
    assert sorted(os.listdir(sent.path)) == [b"cur", b"maildirfolder", b"new", b"tmp"]
    assert sorted(os.listdir(inbox.path)) == [b".Sent.2026", b"cur", b"new", b"tmp"]
    assert sent.quota is inbox.quota
    assert os.stat(inbox.path).st_mode & 0o777 == 0o700


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError), Folder(str(tmp_path / "nobody")) as folder:
        folder.messages()


# ------------------------------------------------------------------ what is there

def test_messages_have_numbers_in_the_order_of_delivery(folder):
    keys = [maildirnames.key(deliver(folder)) for _ in range(5)]
    assert [(one.uid, one.key) for one in folder.messages()] == list(enumerate(keys, 1))
    keys.append(maildirnames.key(deliver(folder)))
    with other(folder) as again:
        assert [(one.uid, one.key) for one in again.messages()] == list(enumerate(keys, 1))
        assert again.index.validity == folder.index.validity > 1_700_000_000
        assert again.index.next == 7 and again.index.guid == folder.index.guid


def test_messages_of_other_programs(folder):
    put(folder, b"new/1035.x.org", b"a\nb\n")
    put(folder, b"cur/1036.x.org,S=6,W=8:2,S", b"c\r\nd\r\n")     # neither is true: lines end in CR LF
    put(folder, b"cur/1037.x.org,S=5,W=9:2,RS", b"wrong\n")
    put(folder, b"cur/\xff\xfe:2,", b"")
    put(folder, b"cur/.hidden", b"")
    os.mkdir(folder.path + b"/cur/folder")
    os.mkfifo(folder.path + b"/new/pipe")
    os.symlink("/etc/passwd", folder.path + b"/cur/9:2,S")
    found = folder.messages()
    folder.measure(found)
    assert [(one.key, one.size, one.virtual, one.flags) for one in found] == [
        (b"\xff\xfe", 0, 0, b""), (b"1035.x.org", 4, 6, b""), (b"1036.x.org", 6, 8, b"S"), (b"1037.x.org", 6, 7, b"RS")]
    assert [b"".join(folder.octets(one)) for one in found] == [b"", b"a\r\nb\r\n", b"c\r\nd\r\n", b"wrong\r\n"]


def test_a_message_stays_itself_whatever_its_name(folder):
    deliver(folder)
    (message,) = folder.messages()
    uid, uidl = message.uid, message.uidl
    for name in (b"cur/" + message.key + b",S=17,W=20:2,", b"cur/" + message.key + b",S=17,W=20:2,FS",
                 b"cur/" + message.key + b":2,T", b"new/" + message.key, b"cur/" + message.key + b",U=7,x=y:2,Sab"):
        os.rename(folder.path + b"/" + there(folder)[0], folder.path + b"/" + name)
        assert read(folder, message) == b"Subject: x\n\nx\n"
        (again,) = folder.messages()
        assert again is message and (again.uid, again.uidl, again.flags) == (uid, uidl, maildirnames.flags(name))


def test_gone(folder):
    deliver(folder)
    (message,) = folder.messages()
    os.unlink(folder.path + b"/" + message.name)
    for act in (folder.open, folder.flag, lambda one: list(folder.octets(one)), lambda one: folder.copy(one, folder)):
        with pytest.raises(Expunged):
            act(message)
    assert folder.messages() == [] and folder.remove([message]) == []
    deliver(folder)
    assert [one.uid for one in folder.messages()] == [2]


def test_two_files_with_one_key_are_two_messages(folder):
    put(folder, b"new/5.x.org", b"one\n")
    put(folder, b"cur/5.x.org,S=4:2,S", b"two\n")
    assert sorted(read(folder, one) for one in folder.messages()) == [b"one\n", b"two\n"]
    assert len({one.key for one in folder.messages()}) == 2 == len(folder.messages())


def test_two_names_of_one_file_are_one_message(folder):
    put(folder, b"new/5.x.org", b"one\n")
    os.link(folder.path + b"/new/5.x.org", folder.path + b"/cur/5.x.org:2,S")
    assert [read(folder, one) for one in folder.messages()] == [b"one\n"]


class Skipping:
    """The os module of somebody whose listings miss a file that is renamed meanwhile, so many times."""

    def __init__(self, folder, times):
        self.folder, self.times = folder, times

    def __getattr__(self, name):
        return getattr(os, name)

    def listdir(self, path):
        found = os.listdir(path)
        if self.times and found:
            self.times -= 1
            return found[1:]
        return found


@pytest.mark.parametrize("times", [1, 2])
def test_what_one_scan_misses_is_not_gone(folder, monkeypatch, times):
    for _ in range(4):
        deliver(folder)
    before = [(one.uid, one.key) for one in folder.messages()]
    monkeypatch.setattr(maildir, "os", Skipping(folder, times))
    assert [(one.uid, one.key) for one in folder.messages()] == before


def test_a_message_is_renamed_between_the_scan_and_the_look(folder, monkeypatch):
    name = deliver(folder)

    class Renaming:
        def __getattr__(self, name):
            return getattr(os, name)

        def lstat(self, path):
            if os.path.exists(folder.path + b"/new/" + name):
                os.rename(folder.path + b"/new/" + name, folder.path + b"/cur/" + name + b":2,S")
            return os.lstat(path)

    monkeypatch.setattr(maildir, "os", Renaming())
    assert [(one.uid, one.flags) for one in folder.messages()] == [(1, b"S")]


def test_times_of_the_folder_decide_nothing(folder):
    for number in range(1, 4):
        deliver(folder)
        for place in (b"/new", b"/cur"):
            os.utime(folder.path + place, (1000, 1000))
        assert len(folder.messages()) == number
    stamp = folder.stamp()
    deliver(folder)
    assert folder.stamp() != stamp


# ------------------------------------------------------------------ changes

def test_flags(folder):
    deliver(folder)
    (message,) = folder.messages()
    modseq = message.modseq
    folder.flag(message, add=b"SF")
    assert there(folder) == [b"cur/" + message.key + b",S=14,W=17:2,FS"] and message.flags == b"FS"
    assert message.modseq > modseq
    with other(folder) as another:
        (same,) = another.messages()
        another.flag(same, add=b"aR", remove=b"F")
    folder.flag(message, add=b"T", remove=b"x")
    assert there(folder) == [b"cur/" + message.key + b",S=14,W=17:2,RSTa"]
    with pytest.raises(ValueError):
        folder.flag(message, add=b"/")


def test_changes_are_counted(folder):
    for _ in range(3):
        deliver(folder)
    one, two, three = folder.messages()
    before = folder.index.modseq
    folder.flag(two, add=b"S")
    assert two.modseq == folder.index.modseq > before >= max(one.modseq, three.modseq)
    os.rename(folder.path + b"/" + three.name, folder.path + b"/cur/" + three.key + b":2,F")
    with other(folder) as another:
        modseqs = [message.modseq for message in another.messages()]
    folder.messages()
    assert [one.modseq, two.modseq, three.modseq] == modseqs and three.modseq > two.modseq


def test_recent_messages_are_so_to_one(folder):
    for _ in range(3):
        deliver(folder)
    messages = folder.messages()
    with other(folder) as another:
        assert len(another.accept(another.messages()[:1])) == 1
        assert [one.uid for one in folder.accept(messages)] == [2, 3]
        assert folder.accept(messages) == another.accept(another.messages()) == []
    assert all(name.startswith(b"cur/") and name.endswith(b":2,") for name in there(folder))


def test_removal(folder, tmp_path):
    folder.quota = Quota(os.fsdecode(folder.path), octets=1000)
    for _ in range(4):
        deliver(folder)
    messages = folder.messages()
    os.rename(folder.path + b"/" + messages[0].name, folder.path + b"/cur/" + messages[0].key + b":2,S")
    os.unlink(folder.path + b"/" + messages[1].name)
    folder.quota.add(-14, -1)
    assert folder.quota.usage() == (3 * 14, 3)
    assert folder.remove(messages[:3]) == []
    assert [one.uid for one in folder.messages()] == [4] and folder.quota.usage() == (14, 1)


def test_what_cannot_be_removed_is_told(folder, monkeypatch):
    class Immutable:
        def __getattr__(self, name):
            return getattr(os, name)

        def unlink(self, path):
            if path.endswith(b"stays"):
                raise OSError(errno.EPERM, "not permitted")
            os.unlink(path)

    for name in (b"new/1.stays", b"new/2.goes"):
        put(folder, name)
    messages = folder.messages()
    monkeypatch.setattr(maildir, "os", Immutable())
    ((message, error),) = folder.remove(messages)
    assert (message.key, error.errno) == (b"1.stays", errno.EPERM)
    assert [one.uid for one in folder.messages()] == [1]


def test_copies_and_moves(folder):
    sent = folder.beside(b"Sent")
    sent.create()
    with Delivery(folder, date=1_000_000_000) as delivery:
        delivery.write(b"x\r\n")
        delivery.keep(flags=b"FSa")
    (message,) = folder.messages()
    for number, act in enumerate((folder.copy, folder.copy, folder.move), 1):
        assert act(message, sent).endswith(b",S=2,W=3:2,FS")
        assert [one.uid for one in sent.messages()] == list(range(1, number + 1))
    assert folder.messages() == [] and there(folder) == []
    assert {(one.date, one.flags, read(sent, one)) for one in sent.messages()} == {(1_000_000_000, b"FS", b"x\n")}
    with pytest.raises(Expunged):
        folder.move(message, sent)
    sent.move(sent.messages()[0], folder)
    assert [one.uid for one in folder.messages()] == [2]
    sent.close()


def test_copies_where_there_are_no_second_names(folder, monkeypatch):
    class NoLinks:
        def __getattr__(self, name):
            return getattr(os, name)

        def link(self, *_, **__):
            raise OSError(errno.EPERM, "not permitted")

    sent = folder.beside(b"Sent")
    sent.create()
    put(folder, b"cur/" + unique() + b":2,S", b"a\r\nb\n")
    (message,) = folder.messages()
    monkeypatch.setattr(maildir, "os", NoLinks())
    folder.copy(message, sent)
    (copied,) = sent.messages()
    assert b"".join(sent.octets(copied)) == b"a\r\nb\r\n" and (copied.date, copied.flags) == (message.date, b"S")
    sent.close()


def test_copies_count(folder):
    folder.quota = Quota(os.fsdecode(folder.path), messages=2)
    sent = folder.beside(b"Sent")
    sent.create()
    deliver(folder)
    (message,) = folder.messages()
    folder.copy(message, sent)
    with pytest.raises(OverQuota):
        folder.copy(message, sent)
    assert folder.quota.usage() == (28, 2)
    folder.move(message, sent)
    assert folder.quota.usage() == (28, 2) == (28, len(sent.messages()))
    sent.close()


def test_a_folder_to_copy_into_is_missing(folder):
    deliver(folder)
    (message,) = folder.messages()
    with pytest.raises(FileNotFoundError):
        folder.move(message, folder.beside(b"Nowhere"))
    assert [one.uid for one in folder.messages()] == [1]
