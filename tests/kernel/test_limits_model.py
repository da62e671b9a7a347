"""The table against a dict: whatever processes do in whatever order, killed ones included, both say the same."""

import tempfile

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemons.kernel import limits
from daemons.kernel.limits import MINUTE
from daemons.kernel.penalties import DELAYS, FORGET
from tests.kernel.holders import Holder

SOURCES = ["192.0.2.7", "192.0.2.8", "2001:db8::/64", "2001:db8:0:1::/64", "unix:uid=0"]
# what each process counts: its group, and its limits
KINDS = [("mail", {"per_source": 2}), ("mail", {"most": 4}), ("mail", {}), ("web", {"per_source": 1, "most": 3}),
         ("web", {"rate": 2, "present": False}), ("web", {"per_source": 3, "rate": 3})]
kinds, sources = st.integers(0, len(KINDS) - 1), st.sampled_from(SOURCES)
passwords = st.sampled_from([str(number) for number in range(13)])


class Model:
    """What a table would be if nobody ever died: dicts."""

    def __init__(self):
        self.present = []               # (process, group, source), one for each conversation
        self.begun = {}                 # (group, source, second) -> how many
        self.told = {}                  # (group, source) -> when
        self.failures = {}              # (group, source) -> (level, when)
        self.pairs = {}                 # (group, source) -> passwords, the latest first

    def over(self, group, source, now, per_source=0, most=0, rate=0, present=True):
        """The limit that one more would exceed."""
        if per_source and sum(one[1:] == (group, source) for one in self.present) >= per_source:
            return "per-source"
        if most and sum(one[1] == group for one in self.present) >= most:
            return "instances"
        if rate and self.begun.get((group, source, int(now)), 0) >= rate:
            return "rate"
        return None

    def enter(self, process, group, source, now, **limits_):
        """What a process is told that counts one in."""
        why = self.over(group, source, now, **limits_)
        if why is None:
            if limits_.get("rate"):
                second = group, source, int(now)
                self.begun[second] = self.begun.get(second, 0) + 1
            if limits_.get("present", True):
                self.present.append((process, group, source))
            return "in"
        news = now - self.told.get((group, source), -MINUTE) >= MINUTE
        if news:
            self.told[group, source] = now
        return f"{why}!" if news else why

    def level(self, key, now):
        """How many failures are not forgotten."""
        level, when = self.failures.get(key, (0, 0.0))
        return max(0, level - int((now - when) // FORGET))

    def failed(self, key, password, now):
        """A wrong password."""
        known = self.pairs.setdefault(key, [])
        if password in known:
            known.remove(password)
        else:
            self.failures[key] = min(self.level(key, now) + 1, 4), now
        self.pairs[key] = [password, *known][:10]


class Table(RuleBasedStateMachine):
    """Processes of six kinds; each is started when it is first needed, and again after it was killed."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="fd0-model-")
        self.path = f"{self.folder.name}/limits"
        self.holders, self.model, self.now = {}, Model(), 1000.0

    def holder(self, kind):
        """The process of a kind."""
        if kind not in self.holders:
            group, limits_ = KINDS[kind]
            self.holders[kind] = Holder(self.path, group, **limits_)
        return self.holders[kind]

    @rule(kind=kinds, source=sources)
    def enter(self, kind, source):
        group, limits_ = KINDS[kind]
        said = self.holder(kind).enter(source, now=self.now)
        assert said == self.model.enter(kind, group, source, self.now, **limits_)

    @rule(kind=kinds, source=sources)
    def glance(self, kind, source):
        group, limits_ = KINDS[kind]
        expected = self.model.over(group, source, self.now, **limits_)
        assert self.holder(kind).tell("crowded", source, now=self.now) == expected

    @precondition(lambda self: self.model.present)
    @rule(data=st.data())
    def leave(self, data):
        process, _, source = one = data.draw(st.sampled_from(self.model.present))
        self.holders[process].tell("leave", source, now=self.now)
        self.model.present.remove(one)

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def kill(self, data):
        kind = data.draw(st.sampled_from(sorted(self.holders)))
        self.holders.pop(kind).__exit__()
        self.model.present = [one for one in self.model.present if one[0] != kind]

    @rule(seconds=st.sampled_from([0.3, 1.0, 7.0, 31.0, 60.0, 200.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule(kind=kinds, source=sources, password=passwords)
    def fail(self, kind, source, password):
        self.holder(kind).tell("failed", source, "user", password, now=self.now)
        self.model.failed((KINDS[kind][0], source), password, self.now)

    @rule(kind=kinds, source=sources)
    def login(self, kind, source):
        key = KINDS[kind][0], source
        assert self.holder(kind).tell("delay", source, now=self.now) == DELAYS[self.model.level(key, self.now)]
        self.holder(kind).tell("passed", source, now=self.now)
        self.model.failures.pop(key, None)

    @invariant()
    def report(self):
        """What `fd0 limits` says of everybody is what goes on."""
        for one in limits.report(self.path):
            here = [group for _, group, source in self.model.present if one.source in (source, "all")]
            assert one.now == here.count(one.group)

    def teardown(self):
        for holder in self.holders.values():
            holder.__exit__()
        self.folder.cleanup()


Table.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestTable = Table.TestCase
