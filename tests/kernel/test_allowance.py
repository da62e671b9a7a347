"""What a declaration and options come to: files, ports, sockets, calls."""

import os
import socket

import pytest

from daemons.kernel import allowance, inherited
from daemons.kernel.conversation import Program
from daemons.kernel.inherited import DATAGRAMS, LISTENER, Given
from daemons.kernel.options import read
from daemons.kernel.service import Option, Service
from daemons.kernel.values import choice, path, text, words

OPTIONS = (Option("page", path, None, "a page"), Option("base", path, None, "a database"),
           Option("list", words, None, "several"), Option("run", choice("no", "yes"), "no", "run something"),
           Option("call", text, None, "whom to call"))


def program(*arguments, **declared):
    service = Service("exampled", about="Be an example.", options=OPTIONS, **declared)
    return Program(service, read(service, ["--config=/dev/null", *arguments], {}), None, None, "test")


def rules(one, *given):
    return allowance.rules(one, list(given))


def calls(one, *given):
    return allowance.calls(one, list(given))


def test_whoever_declares_nothing_reads_the_interpreter_and_writes_nothing():
    made = rules(program())
    assert os.path.dirname(os.__file__) in made.reads and made.writes == ["/dev/null"] and made.runs == []
    assert not {"/", "/etc", "/proc", "/home", "/root", "/tmp", "/var", "/run"} & set(made.reads)
    assert made.connects == made.binds == [] and not made.signals and not made.abstract
    assert calls(program()).families == [] and not calls(program()).runs and not calls(program()).writes


def test_paths_and_the_values_of_options_are_read():
    one = program("--page=/srv/page", "--list=/a,b,/c",
                  reads=("/etc/passwd", "--page", "--list", "--base", "--unknown"))
    assert {"/etc/passwd", "/srv/page", "/a", "/c"} <= set(rules(one).reads) and "b" not in rules(one).reads


def test_what_setup_learnt_is_read():
    one = program()
    one.options.learnt.append("/srv/learnt")
    assert "/srv/learnt" in rules(one).reads and "/srv/learnt" in allowance.files(one)


def test_a_file_to_be_written_means_its_folder_but_not_one_of_everybody(tmp_path):
    one = program(f"--base={tmp_path}/new.db", writes=("--base",))
    assert str(tmp_path) in rules(one).writes and calls(one).writes
    one = program("--base=/etc/new.db", writes=("--base",))
    assert "/etc/new.db" in rules(one).writes and "/etc" not in rules(one).writes


@pytest.mark.parametrize("arguments, needed", [([], set()), (["--run=no"], set()), (["--run=yes"], {"exec"}),
                                               (["--call=x"], {"network"})])
def test_a_need_may_hang_on_an_option(arguments, needed):
    assert allowance.needs(program(*arguments, needs=("exec:--run", "network:--call"))) == needed


def test_the_network_is_called_but_listened_at_only_where_the_kernel_chooses():
    one = program(needs=("network",))
    assert rules(one).connects is None and rules(one).binds == [0] and "/etc/resolv.conf" in rules(one).reads
    assert calls(one).families == [socket.AF_INET, socket.AF_INET6]


@pytest.mark.parametrize("arguments", [["--names=yes"], ["--only-from=.example.org"], ["--no-access=bad.example"]])
def test_names_take_the_dns_and_no_more(arguments):
    one = program(*arguments)
    assert rules(one).connects == [53] and rules(one).binds == [] and "/etc/resolv.conf" in rules(one).reads


def test_networks_take_no_dns():
    assert rules(program("--only-from=192.0.2.0/24")).connects == []


def test_homes_are_those_of_people():
    made = rules(program(needs=("homes",)))
    assert "/home" in made.reads and not {"/", "/root", "/bin", "/dev", "/usr/sbin"} & set(made.reads)


def test_programs_may_be_run_where_the_system_has_them_and_where_the_options_say():
    made = rules(program("--page=/srv/script", reads=("--page",), needs=("exec",)))
    assert {"/usr", "/bin", "/srv/script"} <= set(made.runs) and not set(made.writes) & set(made.runs)


def test_a_unix_datagram_socket_answers_whoever_asks_and_others_keep_to_themselves(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix, socket.socket(type=socket.SOCK_DGRAM) as udp:
        local, remote = Given(DATAGRAMS, unix), Given(DATAGRAMS, udp)
        assert rules(program(), local).abstract and not calls(program(), local).datagrams
        assert not rules(program(), remote).abstract and calls(program(), remote).datagrams
        assert not calls(program(), Given(LISTENER, udp)).datagrams
    monkeypatch.setattr(inherited, "manager", "@/org/systemd/notify")
    assert rules(program()).abstract
