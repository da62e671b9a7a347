"""What could make a mail server take one mail for two, text for commands, or a client's number for one of its own."""

import itertools

import pytest

from tests.programs.test_smtpd import FROM, TO_ANN, Place, codes

ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\0", b"\0\r\n", b"\v", b"\f", b"\x85", "\u2028".encode(),
        b"\r\r", b"\n\n", b" \r\n", b""]
END = b"\r\n.\r\n"
SECOND = (b"MAIL FROM:<admin@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
          b"QUIT\r\n")


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_dot_between_any_other_line_ends_ends_nothing(place):
    """Bob gets nothing, whatever ann gets; and what she gets has no line end that anybody could take for another."""
    taken = 0
    for before, after in itertools.product(ENDS, ENDS):
        if (before + b"." + after).find(END) >= 0 and before != b"\r\r\n":
            continue                    # that is the end
        place.say(FROM + TO_ANN + b"DATA\r\nSubject: x\r\n\r\nx" + before + b"." + after + SECOND)
        assert place.mails("bob") == [], (before, after)
        mails = place.mails("ann")
        taken += len(mails) > taken
        assert len(mails) == taken
        for mail in mails[-1:]:
            assert not {*b"\r\n\0"} & {*mail.replace(b"\r\n", b"")} and b"Subject: smuggled\r\n" in mail
    assert taken


@pytest.mark.parametrize("chunk", [b"BDAT +5", b"BDAT -1 LAST", b"BDAT 5 FIRST", b"BDAT 0x5 LAST", b"BDAT 5 LAST LAST",
                                   b"BDAT 1_0", "BDAT \u0663 LAST".encode(), b"BDAT 18446744073709551616 LAST", b"BDAT",
                                   b"BDAT 99999999 LAST"])
def test_a_chunk_of_unknown_size_ends_the_conversation(place, chunk):
    """What follows may be its text."""
    outcome = place.say(FROM + TO_ANN + chunk + b"\r\nRSET\r\n" + SECOND)
    assert codes(outcome.heard)[-1] in (501, 552) and outcome.reason in ("badending", "toolong")
    assert place.mails("ann") == place.mails("bob") == []


def test_more_recipients_than_a_mail_may_have_are_no_errors(place):
    """A client that sends the rest in another mail is not shown the door before it can."""
    mail = FROM + TO_ANN * 3 + b"RCPT TO:<bob@example.org>\r\n" * 50 + b"DATA\r\nSubject: x\r\n\r\n.\r\n"
    said = place.codes(mail + b"NOOP\r\n", more=["--recipients=3"])
    assert said == [250] * 4 + [452] * 50 + [354, 250, 250] and len(place.mails("ann")) == 1
