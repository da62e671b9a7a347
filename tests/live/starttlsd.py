"""starttlsd: a dialogue that can turn to TLS in the middle, and has a state to forget.  Only tests start it."""

from daemons.kernel.serve import main
from daemons.kernel.service import Service

SERVICE = Service("starttlsd", about="Turn to TLS when told.", busy=b"421 not now\r\n", protocol="start",
                  endings="crlf", upgrades=True, alpn=("start", "start/2"), model="fork")


def talk(stream, options):
    if not stream.upgraded:
        stream.say("220 ready")
    name = "nobody"
    while True:
        verb, _, rest = stream.line().decode("ascii", "replace").partition(" ")
        stream.commands += 1
        if verb == "NAME":
            name = rest
            stream.say(f"250 you are {name}")
        elif verb == "WHO":
            stream.say(f"250 {name}, {'secure' if stream.secure else 'plain'}")
        elif verb == "TLS":
            stream.say(f"250 {told(stream.tls)}")
        elif verb == "STARTTLS" and stream.can_upgrade:
            stream.say("220 go ahead")
            stream.starttls()
        elif verb == "QUIT":
            stream.say("221 bye")
            return "quit"
        else:
            stream.say("502 no")


def told(tls):
    return "none" if tls is None else " ".join(f"{key}={value}" for key, value in tls.facts().items())


if __name__ == "__main__":
    main(SERVICE, talk)
