"""What failed logins cost: 2, 4, 8, 15 seconds; not twice for the same pair, not for ever, and in all programs."""

import pytest

from daemons.kernel import limitsfile, log, penalties
from daemons.kernel.access import networks
from daemons.kernel.addresses import Address
from daemons.kernel.conversation import Program
from daemons.kernel.limitsfile import LimitsFile, key_of
from daemons.kernel.options import read
from daemons.kernel.penalties import Penalty
from daemons.kernel.service import Service
from daemons.kernel.stream import Stream
from tests import play
from tests.clocks import Clock
from tests.kernel.holders import Holder

HERE, THERE = "192.0.2.7", "192.0.2.8"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def table(clock):
    made = LimitsFile(clock=clock)
    yield made
    made.close()


@pytest.fixture
def one(table):
    return Penalty(table, "g", HERE)


@pytest.fixture
def events(monkeypatch):
    """What is logged, as (name, values)."""
    logged = []
    monkeypatch.setattr(log, "event", lambda name, **values: logged.append((name, values)))
    return logged


def test_each_new_failure_costs_more_up_to_15_seconds(one):
    seen = [one.delay("u")]
    for number in range(6):
        one.failed("u", f"wrong {number}")
        seen.append(one.delay("u"))
    assert seen == [0, 2, 4, 8, 15, 15, 15]


def test_another_user_of_the_same_source_waits_as_long_and_another_source_does_not(one, table):
    one.failed("u", "wrong")
    one.failed("v", "wrong")
    assert one.delay("w") == 4 and Penalty(table, "g", THERE).delay("u") == 0


def test_the_same_wrong_pair_costs_once(one):
    for _ in range(20):
        one.failed("u", "the old password")
    assert one.delay("u") == 2
    one.failed(b"u", b"the old password")
    assert one.delay("u") == 2, "octets or text, it is the same"
    one.failed("v", "the old password")
    one.failed("ut", "he old password")
    assert one.delay("u") == 8, "a pair is where it is parted"


def test_the_last_ten_pairs_are_known_and_using_one_keeps_it_known(one):
    pairs = [("u", str(number)) for number in range(11)]
    for pair in pairs[:10]:
        one.failed(*pair)
    one.failed(*pairs[0])
    one.failed(*pairs[10])              # the eleventh: pairs[1] was used longest ago
    one.passed("u")
    for pair in (*pairs[2:], pairs[0]):
        one.failed(*pair)
    assert one.delay("u") == 0
    one.failed(*pairs[1])
    assert one.delay("u") == 2


def test_a_minute_without_a_new_failure_takes_a_step_back(one, clock):
    for number in range(9):
        one.failed("u", str(number))
    seen = []
    for _ in range(6):
        seen.append(one.delay("u"))
        clock.now += 59.9
        assert one.delay("u") == seen[-1]
        clock.now += 0.1
    assert seen == [15, 8, 4, 2, 0, 0]


def test_a_known_pair_does_not_make_a_penalty_last(one, clock):
    one.failed("u", "old")
    for _ in range(3):
        clock.now += 25
        one.failed("u", "old")
    assert one.delay("u") == 0


def test_a_failure_after_some_rest_goes_on_from_where_that_led(one, clock):
    for number in range(4):
        one.failed("u", str(number))
    clock.now += 130
    assert one.delay("u") == 4
    one.failed("u", "another")
    assert one.delay("u") == 8


def test_who_passes_waits_no_longer(one):
    for number in range(3):
        one.failed("u", str(number))
    one.passed("u")
    assert one.delay("u") == 0


def test_what_was_written_before_this_machine_started_is_forgotten(one, clock):
    one.failed("u", "wrong")
    clock.now = 3.0
    assert one.delay("u") == 0
    one.failed("u", "wrong again")
    assert one.delay("u") == 2


def test_no_password_is_in_the_table_and_its_digest_is_another_in_every_table(one, table, clock):
    one.failed("someone", "correct horse")
    with table:
        pairs = table.look(key_of(1, HERE)).pairs
        data = b"".join(bytes(row.packed()) for row in table.rows())
    assert b"someone" not in data and b"correct horse" not in data and any(pairs)
    other = LimitsFile(clock=clock)
    Penalty(other, "g", HERE).failed("someone", "correct horse")
    with other:
        assert other.look(key_of(1, HERE)).pairs != pairs
    other.close()


def test_programs_of_a_group_and_processes_share_it_and_it_outlives_them(tmp_path):
    path = str(tmp_path / "limits")
    with Holder(path, "mail") as pop, Holder(path, "mail") as imap, Holder(path, "ftp") as ftp:
        pop.tell("failed", HERE, "u", "one")
        pop.kill()
        imap.tell("failed", HERE, "u", "two")
        assert [imap.tell("delay", HERE), ftp.tell("delay", HERE)] == [4, 0]
        imap.tell("passed", HERE)
        assert imap.tell("delay", HERE) == 0


def test_those_with_a_penalty_are_the_last_to_make_room(table, clock, monkeypatch):
    monkeypatch.setattr(limitsfile, "BUCKETS", 1)
    Penalty(table, "g", HERE).failed("u", "wrong")
    for number in range(20):
        clock.now += 1
        Penalty(table, "g", f"10.0.0.{number}").delay("u")
    assert Penalty(table, "g", HERE).delay("u") == 2


# -- a conversation's --

def stream_of(*arguments, service=None, peer=HERE):
    """A stream of a program with these options."""
    service = service or Service("logind", about="Log in.", logins=True)
    program = Program(service, read(service, ["--config=/dev/null", *arguments], {}), None, None, "test")
    return Stream(play.Peer([]), peer=Address(peer, 1), penalty=program.penalty), program


def test_a_conversation_has_its_peers(tmp_path):
    stream, program = stream_of(f"--limits={tmp_path}/limits")
    stream.penalty.failed("u", "wrong")
    assert stream.penalty.delay("u") == 2 and stream.penalty is stream.penalty
    again, _ = stream_of(f"--limits={tmp_path}/limits")
    assert again.penalty.delay("u") == 2
    grouped, _ = stream_of(f"--limits={tmp_path}/limits", "--limit-group=mail")
    assert grouped.penalty.delay("u") == 0
    with program.table as table:
        assert table.names()[:2] == ["logind", "mail"]


def test_trusted_networks_are_exempt(tmp_path):
    table, exempt = f"--limits={tmp_path}/limits", "--penalty-exempt=192.0.2.0/25,2001:db8::/32"
    for peer, seconds in ((HERE, 0), ("192.0.2.200", 2), ("2001:db8::1", 0), ("2001:db9::1", 2)):
        stream, program = stream_of(table, exempt, peer=peer)
        stream.penalty.failed("u", "wrong")
        assert stream.penalty.delay("u") == seconds
        stream.penalty.passed("u")
        assert (program.table is None) == (seconds == 0), "and cost nothing"
    assert networks("192.0.2.0/25")


def test_in_this_program_alone(tmp_path):
    stream, program = stream_of("--limits=own")
    stream.penalty.failed("u", "wrong")
    assert stream.penalty.delay("u") == 2 and program.table.path is None


def test_a_table_that_cannot_be_used_makes_every_login_slow_and_is_logged_once(tmp_path, events):
    stream, _ = stream_of(f"--limits={tmp_path}/no/limits")
    for _ in range(2):
        assert stream.penalty.delay("u") == 15
        stream.penalty.failed("u", "wrong")
        stream.penalty.passed("u")
    (name, values), = events
    assert name == "warning" and "each waits 15 seconds" in values["text"]


def test_a_table_that_is_held_up_makes_a_login_slow(tmp_path, events, monkeypatch):
    monkeypatch.setattr(limitsfile, "PATIENCE", 0.05)
    path = str(tmp_path / "limits")
    with Holder(path) as stopped:
        stopped.tell("lock")
        one = Penalty(LimitsFile(path), "g", HERE)
        assert [one.delay("u"), one.delay("u")] == [15, 15] and len(events) == 1


def test_a_stream_of_no_program_has_none():
    with pytest.raises(LookupError):
        _ = Stream(play.Peer([])).penalty


# -- a program that asks for passwords, on paper --

class logind:
    """What a program with logins does."""

    SERVICE = Service("logind", about="Log in.", port=1, logins=True)

    @staticmethod
    def talk(stream, options):
        while (user := stream.line()) != b"quit":
            password = stream.line()
            stream.pause(stream.penalty.delay(user))
            if password == b"right":
                stream.penalty.passed(user)
                stream.say("welcome")
            else:
                stream.penalty.failed(user, password)
                stream.say("no")


def test_a_dialogue_waits_on_the_tests_clock():
    said = b"".join(b"u\r\n%s\r\n" % password for password in (b"a", b"b", b"b", b"c", b"d", b"right", b"right"))
    told = play.play(logind, [said + b"quit\r\n"])
    assert told.heard == b"no\r\n" * 5 + b"welcome\r\n" * 2
    assert told.rested == 0 + 2 + 4 + 4 + 8 + 15 + 0 and told.reason == "done"


def test_dialogues_may_share_a_table(table):
    first = play.play(logind, [b"u\r\na\r\n"], table=table)
    second = play.play(logind, [b"u\r\nb\r\n"], table=table)
    third = play.play(logind, [b"u\r\nc\r\n"], table=table, since=500.0)
    other = play.play(logind, [b"u\r\nc\r\n"], table=table, peer=THERE)
    assert [one.rested for one in (first, second, third, other)] == [0, 2, 0, 0]


def test_levels_beyond_those_there_are_count_as_the_last(one, table):
    one.failed("u", "wrong")
    with table:
        row = table.look(key_of(1, HERE))
        row.level = 200
        table.put(row)
    assert one.delay("u") == penalties.DELAYS[-1] == 15
