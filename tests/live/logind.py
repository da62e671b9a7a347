"""logind: asks for a name and a password, a line each, and lets nobody in but with "right".  Only tests start it."""

from daemons.kernel.serve import main
from daemons.kernel.service import Event, Service

SERVICE = Service("logind", about="Ask for a password.", busy=b"421 not now\r\n", sockets=("stream",), logins=True,
                  events=(Event("login", "info", "session user waits", "somebody gave a password"),))


def talk(stream, options):
    stream.say("220 who")
    while (user := stream.line()) != b"quit":
        password = stream.line()
        seconds = stream.penalty.delay(user)
        stream.log("login", user=user, waits=f"{seconds:g}")
        stream.pause(seconds)
        if password == b"right":
            stream.penalty.passed(user)
            stream.say("230 welcome")
        else:
            stream.penalty.failed(user, password)
            stream.say("530 no")
    return "quit"


if __name__ == "__main__":
    main(SERVICE, talk)
