"""A name server for tests that says what DNSSEC would have proven: a dictionary, which may change while it serves.

    zone = Zone({("one.test", "MX"): ["10 mx.one.test."], ("mx.one.test", "A"): ["127.0.0.1"]})

    zone.records        (name, type) -> texts; of all else there is nothing
    zone.broken         (name, type) that are answered with SERVFAIL
    zone.unproven       (name, type) of answers without the AD bit; those of a type alone are meant for every name
"""

import socket
import threading


class Zone:
    """It serves at `place`, for --resolver, until end()."""

    def __init__(self, records):
        self.records, self.broken, self.unproven, self.asked = dict(records), set(), set(), []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.place = "{}:{}".format(*self.sock.getsockname())
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while True:
            octets, peer = self.sock.recvfrom(4096)
            if not octets:
                return
            self.sock.sendto(self._answer(octets), peer)

    def _answer(self, octets):
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rdatatype
        import dns.rrset
        query = dns.message.from_wire(octets)
        answer, asked = dns.message.make_response(query), query.question[0]
        kind = dns.rdatatype.to_text(asked.rdtype)
        key = asked.name.to_text(omit_final_dot=True).lower(), kind
        self.asked.append(key)
        if key in self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer.to_wire()
        if query.flags & dns.flags.AD and not {key, kind} & self.unproven:
            answer.flags |= dns.flags.AD
        name = asked.name
        if (key[0], "CNAME") in self.records:
            alias = dns.rrset.from_text(name, 60, "IN", "CNAME", *self.records[key[0], "CNAME"])
            answer.answer.append(alias)
            name = alias[0].target
        found = self.records.get((name.to_text(omit_final_dot=True).lower(), kind))
        if found:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *found))
        return answer.to_wire()

    def end(self):
        """Answer no more."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self.sock.getsockname())
        self.thread.join()
        self.sock.close()
