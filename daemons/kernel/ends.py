"""How a conversation ends that is nobody's mistake here.

A program never catches these: they leave `talk` past every line that must only run
when the dialogue ended as its RFC says, and the kernel logs each one once, by its reason.
"""


class End(Exception):
    """The conversation is over; `reason` is the word for it in the log's `close` event."""

    reason = "end"


class Gone(End):
    """The peer closed the connection where we waited for it to speak."""

    reason = "gone"


class Cut(Gone):
    """The peer closed the connection in the middle of a line or block."""

    reason = "cut"


class Reset(Gone):
    """The connection was torn down: a reset, a dead route, a broken pipe."""

    reason = "reset"


class Late(End):
    """The peer kept us waiting longer than one line, block or reply may take."""

    reason = "late"


class Overtime(Late):
    """The whole conversation took longer than it may, however busy it was."""

    reason = "overtime"


class Stopped(Late):
    """The program was told to stop, and the grace it gave its conversations is over."""

    reason = "stopped"


class TooLong(End):
    """The peer sent a line over the limit; `Stream.skip_line` finds the start of the next."""

    reason = "toolong"


class BadEnding(End):
    """The peer ended a line with a bare LF, or hid a bare CR in it, where only CR LF will do."""

    reason = "badending"


class Denied(End):
    """Access rules or limits keep this peer out; the exception's text says which."""

    reason = "denied"


class BadHeader(End):
    """The header by which a proxy tells who calls did not come, or is wrong; the text says how."""

    reason = "proxy"


class Crowded(Denied):
    """A limit is reached: per-source, instances or rate; `news` is False when the log has its source this minute."""

    def __init__(self, why: str, news: bool) -> None:
        super().__init__(why)
        self.news = news


class Truncated(Reset):
    """The connection ended without TLS's own end (close_notify): somebody may have cut off the rest."""


class NoHandshake(End):
    """TLS did not come about; the text is OpenSSL's short reason."""

    reason = "tls"


class LateHandshake(NoHandshake, Late):
    """The peer took too long over the handshake."""


class Upgrade(End):
    """The program said that TLS begins here; the kernel shakes hands and has it talk anew."""

    reason = "upgrade"
