"""deafd: does not hear the first order to stop, as one that is just about to wait does not.  Only tests start it."""

import signal

from daemons.kernel.serve import main
from daemons.kernel.service import Service

SERVICE = Service("deafd", about="Do not hear the first SIGTERM.", model="fork", sockets=("stream",))


def talk(stream, options):
    usual = signal.signal(signal.SIGTERM, lambda number, _: signal.signal(number, usual))
    stream.say("220 speak up")
    stream.spoken_to(stream.patience)
    return "quit"


if __name__ == "__main__":
    main(SERVICE, talk)
