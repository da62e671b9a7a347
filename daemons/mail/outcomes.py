"""Outcomes: what became of a message's recipients, put down in the queue first and told in the log then."""

import time

from daemons.kernel import log
from daemons.kernel.service import Event

EVENTS = (
    Event("sent", "info", "id to host reply delay tls",
          "a server, or a mailbox here, has the mail; seconds since it came; tls: no, yes, or what proved the server"),
    Event("deferred", "notice", "id to host reply next", "it is tried again, in so many seconds"),
    Event("bounced", "notice", "id to host reply", "it will never arrive there"),
    Event("expired", "notice", "id to host reply", "it was tried for as long as it may be"),
    Event("dropped", "warning", "id to host reply", "it was bounced or expired, and nobody is told"),
    Event("warned", "info", "id to", "a sender was told that mail is late"),
)


class Outcomes:
    """Of one job, under a queueplan.Plan."""

    def __init__(self, job, plan, clock=time.time):
        self.job, self.plan, self._clock = job, plan, clock

    def done(self, recipients, reply, host="", tell=False, tls=""):
        """They have it."""
        delay = max(0.0, self._clock() - self.job.envelope.received)
        self.job.done(recipients, reply, host, tell)
        for one in recipients:
            facts = {"id": self.job.id, "to": one.address, "host": host, "reply": reply, "delay": f"{delay:.3f}"}
            log.event("sent", **facts, **({"tls": tls} if tls else {}))

    def bounce(self, recipients, reply, host="", expired=False):
        """They never will."""
        self.job.bounce(recipients, reply, host)
        for one in recipients:
            facts = {"id": self.job.id, "to": one.address, "host": host, "reply": reply}
            if expired:
                log.event("expired", **facts)
            else:
                log.event("bounced", **facts)
            if not one.is_owed:
                log.event("dropped", **facts)

    def defer(self, recipients, reply, host=""):
        """They may have it later; or not, if they had time enough."""
        envelope, now = self.job.envelope, self._clock()
        if not recipients:
            return
        if self.plan.is_expired(now, envelope.received, envelope.expires):
            self.bounce(recipients, f"554 5.4.7 tried for too long, the last time: {reply}", host, expired=True)
            return
        attempts = max(one.attempts for one in recipients) + 1
        when = self.plan.next_try(self.job.id, attempts, now, envelope.received, envelope.expires)
        try:
            self.job.defer(recipients, reply, when, host)
        finally:                        # a disk without room for it is one more reason to tell why
            for one in recipients:
                log.event("deferred", id=self.job.id, to=one.address, host=host, reply=reply, next=f"{when - now:.0f}")

    def replied(self, pairs, host, tell, tls=""):
        """(recipient, Reply) each, as a server answered; the good news first: what is taken must not go out again."""
        for kind in (self.done, self.bounce, self.defer):
            groups = {}
            for one, reply in pairs:
                if kind == (self.done if reply.done else self.defer if reply.temporary else self.bounce):
                    groups.setdefault(reply.text, []).append(one)
            for text, some in groups.items():
                if kind == self.done:
                    kind(some, text, host, tell, tls)
                else:
                    kind(some, text, host)
