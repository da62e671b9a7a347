"""daytimed, RFC 867."""

import calendar
import time

import pytest

from daemons import daytimed
from daemons.kernel.options import Misuse
from tests.play import ask, options_of, play


def said(form, *when):
    """What the stream says at a date, without CR LF; the datagram must say the same."""
    now = calendar.timegm(when) + 0.999
    options = options_of(daytimed, f"--format={form}")
    heard = play(daytimed, [], options=options, now=now).heard
    assert ask(daytimed, b"", options=options, now=now) == heard and heard.endswith(b"\r\n")
    return heard[:-2].decode("ascii")


@pytest.mark.parametrize(("when", "text"), [
    ((1982, 2, 22, 17, 37, 43), "Monday, February 22, 1982 17:37:43-UTC"),      # the RFC's example says Tuesday: wrong
    ((1999, 12, 31, 23, 59, 59), "Friday, December 31, 1999 23:59:59-UTC"),
    ((2000, 1, 1, 0, 0, 0), "Saturday, January 1, 2000 00:00:00-UTC"),
    ((2024, 2, 29, 9, 5, 0), "Thursday, February 29, 2024 09:05:00-UTC"),
    ((2038, 1, 19, 3, 14, 8), "Tuesday, January 19, 2038 03:14:08-UTC"),
    ((1900, 1, 1, 0, 0, 0), "Monday, January 1, 1900 00:00:00-UTC")])
def test_the_popular_syntax(when, text):
    assert said("rfc867", *when) == text


def test_words_are_english_whatever_the_locale_is(monkeypatch):
    """strftime would speak the locale's language."""
    monkeypatch.setattr(time, "strftime", None)
    days = [said("rfc867", 2026, 9, day, 0, 0, 0).split(",")[0] for day in range(21, 28)]
    months = [said("rfc867", 2026, month, 1, 0, 0, 0).split()[1] for month in range(1, 13)]
    assert days == "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
    assert months == ("January February March April May June July August September October November "
                      "December").split()


@pytest.mark.parametrize(("when", "text"), [
    ((1993, 1, 23, 22, 1, 22), "49010 93-01-23 22:01:22 00 0 0   0.0 UTC(fd0) *"),      # from NIST's own page
    ((1858, 11, 17, 0, 0, 0), "0 58-11-17 00:00:00 00 0 0   0.0 UTC(fd0) *"),
    ((2005, 3, 4, 5, 6, 7), "53433 05-03-04 05:06:07 00 0 0   0.0 UTC(fd0) *")])
def test_nist_s_columns(when, text):
    assert said("nist", *when) == text


def test_iso_8601():
    assert said("iso", 2026, 1, 2, 3, 4, 5) == "2026-01-02T03:04:05Z"


def test_it_is_one_line_of_printable_ascii_however_it_is_written():
    for form in daytimed.FORMATS:
        assert said(form, 2026, 9, 21, 14, 13, 20).isprintable()


def test_another_format_is_refused():
    with pytest.raises(Misuse, match="must be one of rfc867, nist, iso"):
        options_of(daytimed, "--format=%A")
