"""mailq: empties the queue of mail - to other servers by SMTP, to mailboxes here, and back to senders what fails."""

import os
import time

from daemons.kernel import enclosed, log
from daemons.kernel.inherited import Nothing
from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import choice, count, path, seconds, switch, text
from daemons.mail import outcomes
from daemons.stores.mailusers import ACCOUNTS, MAIL
from daemons.stores.queuefolder import SPOOL
from daemons.wire import mailroutes


def relay(words):
    """A server that takes mail for others: HOST, HOST:PORT or [ADDRESS]:PORT."""
    return mailroutes.relay(words)


SERVICE = Service(
    "mailq", sockets=(), standing=True, rfcs=(5321, 3461, 3464, 7505, 7672, 8461, 8689), facility="mail",
    needs=("network",), about="Deliver the mail that waits in the queue.",
    writes=("/var/lib/fd0", SPOOL, "--queue", "--mail", "--accounts"),
    reads=("--routes", "--smarthost-password", "--starttls-ca"),
    options=(Option("queue", path, SPOOL, "folder of the queue"),
             Option("hostname", text, None, "our name among mail servers [the machine's]"),
             Option("accounts", text, ACCOUNTS, "database of those who have a mailbox here, if it is there"),
             Option("mail", path, MAIL, "folder of all mail"),
             Option("separator", text, "+", "sign before the rest of a sub-address here: ann+news@; empty for none"),
             Option("resolver", text, None, "ask this name server: ADDRESS or [ADDRESS]:PORT [the machine's]"),
             Option("routes", path, None, "file of lines: DOMAIN HOST[:PORT]; - for the domain's own servers"),
             Option("smarthost", relay, None, "this server takes all mail for elsewhere: HOST[:PORT]; 465 for TLS"),
             Option("smarthost-user", text, None, "log in there as this user, under TLS with a good certificate"),
             Option("smarthost-password", path, None, "file whose first line is the password"),
             Option("port", count, "25", "where mail servers listen"),
             Option("starttls", choice("no", "may", "must"), "may",
                    "TLS with other servers: never, if offered, or only with a good certificate"),
             Option("starttls-ca", path, None, "PEM file of authorities for must and MTA-STS [the system's]"),
             Option("dane", switch, "no", "hold servers to the TLSA records that DNSSEC proves"),
             Option("mta-sts", switch, "no", "hold servers to the policy that their domain has on the web"),
             Option("workers", count, "20", "deliveries at once"),
             Option("per-destination", count, "5", "deliveries at once to one destination"),
             Option("per-connection", count, "100", "messages that one worker takes along at once"),
             Option("connect-timeout", seconds, "30", "longest wait for a connection"),
             Option("timeout", seconds, "5m", "longest wait for a reply; twice that at the end of a mail"),
             Option("retry", seconds, "5m", "wait after the first attempt; each wait is twice the one before"),
             Option("retry-most", seconds, "70m", "longest wait between two attempts"),
             Option("lifetime", seconds, "5d", "give a mail up after this time"),
             Option("warn", seconds, "4h", "tell a sender that mail is late after this time; 0 for never")),
    events=(*outcomes.EVENTS,
            Event("unfetched", "notice", "domain why", "a domain has an MTA-STS policy, and it cannot be fetched"),
            Event("tested", "notice", "domain host why",
                  "were the domain's MTA-STS policy enforced, and not in testing, this server would get no mail"),
            Event("reload", "info", "why", "files were read anew"),
            Event("swept", "info", "count", "files were removed that killed programs had left in the queue"),
            Event("damaged", "err", "id why", "a file in the queue is no message, and is left alone")),
    examples=("mailq --hostname=mail.example.org           deliver to each domain's own servers",
              "mailq --smarthost=relay.example.net:587      give all to a relay; --smarthost-user to log in there",
              "mailq --check --routes=/etc/fd0/routes      only see whether options and files are in order"),
    description="Takes what smtpd and sendmail put into the queue, and delivers it: to mailboxes here, to the relay "
                "that --routes or --smarthost names, or to the mail servers of each domain. What cannot be delivered "
                "now is tried again, first after --retry and later at longer intervals, until --lifetime is over; "
                "then, or when a server refuses a mail for good, its sender gets a notification. A server that "
                "refuses our login or has no good certificate makes mail wait, and never bounces it.\n\n"
                "There is one mailq for a queue: a second one does not start. It may be killed at any time: what was "
                "being delivered then arrives once or twice, and nothing is lost. SIGTERM lets deliveries finish "
                "within --grace. SIGHUP has it read its files again; messages go where the new ones say. "
                "fd0 queue shows what waits and why, and can hold, hurry and delete it.\n\n"
                "With --starttls=may a server's certificate is not looked at: anybody who can tamper with a connection "
                "could take the offer of TLS away too. Mail whose sender requires TLS (REQUIRETLS) goes only to a "
                "server that has a good certificate and promises the same, and that --routes, --smarthost or a DNS "
                "answer names which the resolver has validated (DNSSEC), or an MTA-STS policy; where there is none it "
                "bounces. The resolver, and the way to it, must then be trusted: it best runs on this machine.\n\n"
                "With --dane=yes a server whose TLSA records the resolver has validated gets mail only under TLS with "
                "a certificate that they tell of (usages 2 and 3; with usage 2 it is called twice). Where none of them "
                "can be used, any certificate will do; where they cannot be looked up, the mail waits. With "
                "--mta-sts=yes the policy of a domain is fetched from its web server and kept in the queue, for as "
                "long as it says. If it is to be enforced, mail goes only to servers that it names, under TLS with a "
                "certificate that an authority has signed, or waits; if it is in testing, the log tells what would "
                "have failed. TLSA records come before policies, and both before --starttls. What --routes and "
                "--smarthost name is held to neither. Mail that waits for such a reason says so in fd0 queue; the "
                "event sent tells what a server was proven by: dane, mta-sts, or pkix for --starttls=must.\n\n"
                "It works in a sandbox, in a child process; its parent starts that anew when it was killed, or when a "
                "file that it reads was replaced.")

REFRESH, AGAIN = 60.0, 5.0                      # seconds between two looks at all of the queue; until a failure is over
REPLACED, ORPHANED = "replaced", "orphaned"     # why it ends, beside signals
LEAST = 10                                      # messages for a worker, before a destination gets another


class Made:
    """What the files say: the accounts or None, a Routing, MailServers, and Wishes."""

    def __init__(self, options):
        from daemons.mail import lookups
        from daemons.mail.mailrouting import Routing
        from daemons.mail.mailservers import MailServers
        from daemons.mail.smtpclient import Wishes
        self.hostname = options.hostname or _own_name()
        self.accounts = _accounts(options)
        lines = None
        if options.routes:
            with open(options.routes, encoding="utf-8", errors="surrogateescape") as file:
                try:
                    lines = mailroutes.parse(file.read())
                except ValueError as error:
                    raise ValueError(f"{options.routes}: {error}") from None
        if options.starttls == "no" and (options.dane or options.mta_sts):
            raise ValueError("--dane and --mta-sts need TLS: leave --starttls=no out")
        servers = self.servers = MailServers(self.hostname, options.port, lookups.place(options.resolver))
        here = self.accounts
        self.routing = Routing(lines, options.smarthost, servers, lambda domain: here is not None and (
            not domain or here.is_local_domain(domain)))
        self.wishes = Wishes(self.hostname, options.starttls, options.starttls_ca, options.smarthost_user or "",
                             _password(options), options.connect_timeout, options.timeout)

    def assurance(self, options):
        """What servers have to prove; for a worker, which alone loads what is needed for it."""
        from daemons.mail.assurance import Assurance
        sts = None
        if options.mta_sts:
            from daemons.mail.mtasts import MtaSts
            from daemons.stores.stspolicies import Policies
            sts = MtaSts(self.servers, Policies(options.queue), options.starttls_ca)
        return Assurance(self.servers, sts, options.dane)


def setup(options):
    """Read the files, and see whether the queue is there."""
    from daemons.kernel import explain
    from daemons.stores import queuefolder
    from daemons.stores.mailusers import SERVERS
    made = Made(options)
    if not options.accounts.startswith(SERVERS):
        options.written.append(os.path.dirname(os.path.abspath(options.accounts.removeprefix("sqlite:"))))
    if options.action == "explain":
        explain.alone(options, f"empty {options.queue} as {made.hostname}, and keep mail for accounts in "
                               f"{options.mail if made.accounts else 'no folder, as there are no accounts'}")
        raise SystemExit(0)
    if options.action == "check":
        options.absent += [*([] if made.accounts else [options.accounts]),
                           *([] if os.path.isdir(options.queue) else [options.queue])]
    else:
        queuefolder.make(options.queue)
    return made


def run(options, made):
    """Deliver until told to stop; returns the exit status."""
    from daemons.stores import queuelocks
    lock = os.open(f"{options.queue}/runner", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if not queuelocks.take(lock):
        raise Nothing(f"another mailq empties {options.queue} already")

    def work(enclosure):
        began = time.monotonic()
        log.event("start", via=enclosure.via, model="fork", sandbox=enclosure.extent, listen=options.queue)
        runner = Runner(options, _anew(options, made) if enclosure.again else made, lock, enclosure)
        why = runner.run()
        log.event("stop", why=why, seconds=f"{time.monotonic() - began:.3f}", conversations=runner.started)
        return enclosed.ANEW if why == REPLACED else 0
    return enclosed.keep(options, work)


def _anew(options, made):
    """What the files say now, or what they said before if that makes no sense."""
    try:
        return Made(options)
    except (ValueError, OSError) as error:
        log.event("warning", text=f"not read anew, all stays as it is: {error}")
        return made


class Runner:
    """The loop: what is due goes to workers, and what they have done is looked up in the files.

    Files that were replaced cannot be read from within the sandbox: then it ends, to begin again in another one.
    """

    def __init__(self, options, made, lock, enclosure):
        from daemons.kernel.watch import Watch
        from daemons.kernel.workers import Workers
        from daemons.stores.mailqueue import Queue
        from daemons.stores.queuewriter import QueueWriter
        from daemons.wire.queueplan import Plan
        self.options, self.made, self.lock, self.started = options, made, lock, 0
        self.plan = Plan(options.retry, options.retry_most, options.lifetime, options.warn)
        self.watch = Watch()
        self.workers = Workers(self.watch)
        self.queue = Queue(options.queue, made.routing.destination)
        self.writer = QueueWriter(options.queue)
        self.busy, self.counts, self.damaged = set(), {}, set()
        self.watch.on(self.queue.wake.fileno(), self.queue.listen)
        self.looked = time.monotonic()
        self.enclosure = enclosure
        if enclosure.lifeline is not None:
            self.watch.on(enclosure.lifeline, self._orphaned)

    def run(self):
        """Until told to stop; returns the word for why."""
        self._look_at_all()
        self.enclosure.notify("READY=1", f"STATUS=emptying {self.options.queue}")
        while True:
            self._hand_out()
            self.watch.look(self._patience())
            self._take_back()
            log.settle(0)
            if time.monotonic() - self.looked >= REFRESH:
                self._look_at_all()
                if self.enclosure.replaced():
                    return self._end(REPLACED)
            while self.watch.told:
                word = self.watch.told.pop(0)
                if word == "SIGHUP" and self.enclosure.replaced():
                    return self._end(REPLACED)
                if word == "SIGHUP":
                    self._reload()
                else:
                    return self._end(word)

    def _look_at_all(self):
        """What the pipe did not tell of, and what was left behind."""
        self.looked = time.monotonic()
        self.made.routing.forget()
        self.queue.refresh()
        self._keep_from_others()
        if self.options.mta_sts:
            from daemons.stores.stspolicies import Policies
            Policies(self.options.queue).sweep(time.time())
        swept = self.queue.sweep(time.time())
        if swept:
            log.event("swept", count=len(swept))
        for id in self.queue.damaged.keys() - self.damaged:
            log.event("damaged", id=id, why=self.queue.damaged[id])
        self.damaged = set(self.queue.damaged)

    def _patience(self):
        """Milliseconds until something is due, or everything is to be looked at."""
        left = REFRESH - (time.monotonic() - self.looked)
        due = self.queue.next_time()
        if due is not None:
            left = min(left, due - time.time())
        return max(0, int(left * 1000) + 1)

    # -- handing out --

    def _hand_out(self):
        """Start as many workers as there is room and work for."""
        options, now = self.options, time.time()
        room = options.workers - len(self.workers)
        if room <= 0:
            return
        for destination, ids in self.queue.due(now, options.per_destination * options.per_connection).items():
            free = min(options.per_destination - self.counts.get(destination, 0), room)
            ids = [id for id in ids if id not in self.busy]     # one message may have several destinations
            size = min(options.per_connection, max(LEAST, -(-len(ids) // max(free, 1))))
            for start in range(0, min(len(ids), size * free), size):
                self._start(destination, ids[start:start + size])
            room = options.workers - len(self.workers)
            if room <= 0:
                return

    def _start(self, destination, ids):
        try:
            self.workers.start(lambda leaving: self._work(destination, ids, leaving), (destination, ids))
        except OSError as error:
            log.event("pressure", why=f"no process for {destination}: {error.strerror}")
            for id in ids:
                self.queue.postpone(id, time.time() + AGAIN)
            return
        self.started += 1
        self.counts[destination] = self.counts.get(destination, 0) + 1
        self.busy.update(ids)
        self._keep_from_others()

    def _keep_from_others(self):
        """Whoever has a message writes what became of it; it is looked at when the worker has ended."""
        far = time.time() + 86400
        for id in self.busy:
            self.queue.postpone(id, far)

    def _work(self, destination, ids, leaving):
        """In a worker: deliver these."""
        from daemons.mail.courier import Courier
        from daemons.mail.localmail import LocalMail
        from daemons.mail.notices import Notices
        os.close(self.lock)             # should our parent be killed, another may begin while we finish
        made = self.made
        notices = Notices(self.writer, made.hostname, self.plan)
        local = LocalMail(lambda: made.accounts, self.options.mail, self.writer, made.hostname)
        Courier(self.queue, made.routing, made.wishes, self.plan, notices, local,
                made.assurance(self.options)).carry(destination, ids, leaving)

    def _take_back(self):
        for (destination, ids), status in self.workers.ended():
            self.counts[destination] -= 1
            if not self.counts[destination]:
                del self.counts[destination]
            self.busy.difference_update(ids)
            self.queue.notice(ids)
            if status:
                log.event("warning", text=f"a worker for {destination} ended with status {status}")
                for id in ids:
                    self.queue.postpone(id, time.time() + AGAIN)

    # -- orders --

    def _orphaned(self):
        """Whoever would pass orders on was killed: let others have the queue."""
        self.watch.off(self.enclosure.lifeline)
        os.close(self.lock)
        log.event("warning", text="the process over this one is gone; it ends too")
        self.watch.told.append(ORPHANED)

    def _reload(self):
        """Read the files again; what they say counts for every message from now on."""
        self.enclosure.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            made = Made(self.options)
        except (ValueError, OSError) as error:
            log.event("warning", text=f"not reloaded, all stays as it is: {error}")
        else:
            from daemons.stores.mailqueue import Queue
            self.watch.off(self.queue.wake.fileno())
            self.queue.close()
            self.made = made
            self.queue = Queue(self.options.queue, made.routing.destination)
            self.watch.on(self.queue.wake.fileno(), self.queue.listen)
            self._look_at_all()
            log.event("reload", why="SIGHUP")
        self.enclosure.notify("READY=1")

    def _end(self, word):
        """Let workers finish, and end those that take longer than --grace."""
        if word != REPLACED:
            self.enclosure.notify("STOPPING=1")
        self.workers.stop()
        end = time.monotonic() + self.options.grace
        while len(self.workers) and (left := end - time.monotonic()) > 0:
            self.watch.look(left * 1000 + 1)
            self._take_back()
            if self.watch.told:         # told twice: somebody has no patience
                break
        self.workers.stop(at_once=True)
        return word


def _own_name():
    """The machine's name, with its domain where that is known."""
    name = os.uname().nodename
    if "." in name:
        return name
    from daemons.kernel import dial
    from daemons.kernel.ends import End
    try:
        found = [dial.name_of(where[0]) for _, where in dial.addresses_of(name)]
    except End:                         # nobody knows this machine by its name
        return name
    return next((one for one in found if one and "." in one), name)


def _accounts(options):
    """The accounts, or None where there are none and nobody asked for some."""
    from daemons.stores import accounts
    from daemons.stores.mailusers import SERVERS
    if "accounts" not in options.sources and not options.accounts.startswith(SERVERS) and not os.path.exists(
            options.accounts):
        return None
    return accounts.open(options.accounts, options.separator)


def _password(options):
    """The first line of the password's file."""
    if not options.smarthost_user:
        return b""
    if not options.smarthost_password:
        raise ValueError("--smarthost-user needs --smarthost-password=FILE")
    with open(options.smarthost_password, "rb") as file:
        return file.readline().rstrip(b"\r\n")


if __name__ == "__main__":
    main(SERVICE, setup=setup, run=run)
