"""Workers: children that do one thing each, whose end wakes the loop."""

import os
import signal

from daemons.kernel import log
from tests.kernel.forked import forked


def loop(action):
    """What action(workers, watch) returns, in a process whose signals are its own."""
    def run():
        from daemons.kernel.watch import Watch
        from daemons.kernel.workers import Workers
        log.start("test", target="/nobody")
        watch = Watch()
        return action(Workers(watch), watch)
    return forked(run)


def all_ended(workers, watch):
    """[[about, status]] once none is left."""
    found = []
    while len(workers):
        found += [list(one) for one in workers.ended()]
        if len(workers):
            watch.look(10_000)
    return found


def test_a_worker_does_its_work_and_its_end_is_told():
    def action(workers, watch):
        reader, writer = os.pipe()
        workers.start(lambda leaving: os.write(writer, b"done"), "first")
        return [all_ended(workers, watch), os.read(reader, 10).decode()]
    assert loop(action) == [[["first", 0]], "done"]


def test_work_that_raises_something_ends_the_worker_alone():
    def action(workers, watch):
        def work(leaving):
            raise ValueError("broken")
        workers.start(work, "broken")
        return all_ended(workers, watch)
    assert loop(action) == [["broken", 111]]


def test_a_worker_that_is_told_to_stop_finishes_what_it_does():
    def action(workers, watch):
        reader, writer = os.pipe()

        def work(leaving):
            os.write(writer, b"begun ")
            while not leaving():
                signal.sigtimedwait((), 0.01)
            os.write(writer, b"ended")
        workers.start(work, "patient")
        begun = os.read(reader, 6)
        workers.stop()
        return [all_ended(workers, watch), (begun + os.read(reader, 10)).decode()]
    assert loop(action) == [[["patient", 0]], "begun ended"]


def test_a_worker_can_be_killed():
    def action(workers, watch):
        reader, _writer = os.pipe()
        workers.start(lambda leaving: os.read(reader, 1), "deaf")
        workers.stop(at_once=True)
        return all_ended(workers, watch)
    assert loop(action) == [["deaf", -9]]


def test_orders_are_the_programs_and_not_its_workers():
    def action(workers, watch):
        reader, writer = os.pipe()

        def work(leaving):
            os.write(writer, b"x")
            for number in (signal.SIGHUP, signal.SIGINT):
                os.kill(os.getpid(), number)
            os.write(writer, b"%d" % leaving())
        workers.start(work, "busy")
        os.kill(os.getpid(), signal.SIGHUP)
        ended = all_ended(workers, watch)
        return [ended, os.read(reader, 10).decode(), watch.told]
    assert loop(action) == [[["busy", 0]], "x0", ["SIGHUP"]]
