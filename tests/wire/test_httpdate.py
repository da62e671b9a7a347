"""Dates of HTTP: three forms that are read, one that is written, and all that only looks like a date."""

import calendar
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemons.wire.httpdate import DAYS, civil, days, imf, parse

NOW = 784111777                 # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110
END_OF_2100 = 4133980799
seconds_until_2100 = st.integers(0, END_OF_2100)


def rfc850(seconds):
    moment = time.gmtime(seconds)
    date = f"{moment.tm_mday:02}-{calendar.month_abbr[moment.tm_mon]}-{moment.tm_year % 100:02}"
    return f"{DAYS[moment.tm_wday]}, {date} {moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02} GMT"


@pytest.mark.parametrize("text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                  "Sun Nov  6 08:49:37 1994", "Sun Nov 06 08:49:37 1994"])
def test_the_examples_of_rfc_9110(text):
    assert parse(text, NOW) == NOW


@pytest.mark.parametrize("seconds, text", [
    (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (NOW, "Sun, 06 Nov 1994 08:49:37 GMT"), (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
    (NOW + 0.999, "Sun, 06 Nov 1994 08:49:37 GMT"), (-0.5, "Wed, 31 Dec 1969 23:59:59 GMT"),
    (951782400, "Tue, 29 Feb 2000 00:00:00 GMT"), (2147483648, "Tue, 19 Jan 2038 03:14:08 GMT"),
    (4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"), (253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"),
    (-62167219200, "Sat, 01 Jan 0000 00:00:00 GMT"),
])
def test_what_is_written(seconds, text):
    assert imf(seconds) == text


@pytest.mark.parametrize("seconds", [253402300800, -62167219201, 1e18, float("nan"), float("inf"), float("-inf")])
def test_times_that_have_no_date(seconds):
    with pytest.raises(ValueError):
        imf(seconds)


@given(seconds_until_2100)
def test_every_second_comes_back(seconds):
    assert parse(imf(seconds), 0) == seconds
    assert parse(time.asctime(time.gmtime(seconds)), 0) == seconds
    assert parse(rfc850(seconds), seconds) == seconds


def test_every_day_is_what_the_standard_library_makes_of_it():
    for number in range(-1000, days(2101, 1, 1)):
        moment = time.gmtime(number * 86400)
        assert civil(number) == moment[:3] and days(*moment[:3]) == number
        assert imf(number * 86400).startswith(DAYS[moment.tm_wday][:3])


@given(st.integers(-10**7, 10**7))
def test_calendar_days_come_back(number):
    assert days(*civil(number)) == number


@given(seconds_until_2100, seconds_until_2100)
@example(NOW, 0)
def test_a_year_of_two_digits_is_the_latest_that_is_not_fifty_years_ahead(seconds, now):
    told, read = time.gmtime(seconds), parse(rfc850(seconds), now)
    if read is None:            # the 29th of February of another century
        assert told[1:3] == (2, 29)
        return
    shown, limit, clock = time.gmtime(read), time.gmtime(now), slice(1, 6)
    assert shown.tm_year % 100 == told.tm_year % 100 and shown[clock] == told[clock]
    assert (shown.tm_year, *shown[clock]) <= (limit.tm_year + 50, *limit[clock])
    assert (shown.tm_year + 100, *shown[clock]) > (limit.tm_year + 50, *limit[clock])


@pytest.mark.parametrize("now, text, year", [
    (imf(NOW), "06-Nov-44 08:49:37", 2044), (imf(NOW), "06-Nov-44 08:49:38", 1944),
    (imf(NOW), "05-Nov-44 23:59:59", 2044), (imf(NOW), "07-Nov-44 00:00:00", 1944),
    (imf(NOW), "31-Dec-45 00:00:00", 1945), (imf(NOW), "01-Jan-95 00:00:00", 1995),
    ("Sat, 01 Jan 2050 00:00:00 GMT", "01-Jan-00 00:00:00", 2100),
    ("Thu, 01 Jan 2099 00:00:00 GMT", "01-Jan-05 00:00:00", 2105),
])
def test_which_century(now, text, year):
    assert time.gmtime(parse(f"Monday, {text} GMT", parse(now, 0))).tm_year == year


def test_a_leap_second_is_the_first_of_the_next_day():
    assert parse("Sat, 31 Dec 2016 23:59:60 GMT", 0) == parse("Sun, 01 Jan 2017 00:00:00 GMT", 0)


@pytest.mark.parametrize("text", [
    "", "0", "784111777", "now", "Sun", "Sun, ", " " * 29, "\0" * 24,
    "sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 gmt",
    "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37",
    "Sun, 6 Nov 1994 08:49:37 GMT", "Sun,  6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
    "Son, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Okt 1994 08:49:37 GMT", "06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:60 GMT",
    "Sun, 06 Nov 1994 23:59:61 GMT", "Sun, 06 Nov 1994 8:49:037 GMT", "Sun, 06 Nov 1994 08.49.37 GMT",
    "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 29 Feb 1994 08:49:37 GMT",
    "Mon, 29 Feb 2100 08:49:37 GMT", "Sun, 32 Dec 1994 08:49:37 GMT", "Sun, 99 Jan 1994 08:49:37 GMT",
    "Sun, -6 Nov 1994 08:49:37 GMT", "Sun, +6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1_94 08:49:37 GMT",
    "Sun, ٠٦ Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 0²:49:37 GMT", "Sun, 06 Nov １９９４ 08:49:37 GMT",
    "Sun,\t06 Nov 1994 08:49:37 GMT", "Sun, 06\tNov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37\tGMT",
    " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 06 Nov 1994 08:49:37 GMT\n",
    "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT; length=5",
    "Sunday, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
    "sunday, 06-Nov-94 08:49:37 GMT", "Sunday, 6-Nov-94 08:49:37 GMT", "Sunday, 31-Feb-94 08:49:37 GMT",
    "Sunday, 06-Nov-9x 08:49:37 GMT", "Sunday, 06-Nov-²4 08:49:37 GMT", "Sunday,06-Nov-94 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 UTC", "Sunday, 06/Nov/94 08:49:37 GMT", "Sunday, 06-Xyz-44 08:49:37 GMT",
    "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94", "Sun Nov   08:49:37 1994 ", "Sunday Nov 6 08:49:37 1994",
    "Sun Nov  x 08:49:37 1994", "Sun Nov  0 08:49:37 1994", "Sun Nov 31 08:49:37 1994", "Sun, Nov 6 08:49:37 1994",
    "Sun\tNov  6 08:49:37 1994", "Xun Nov  6 08:49:37 1994", "1994-11-06T08:49:37Z",
])
def test_what_is_no_date(text):
    assert parse(text, NOW) is None


DATE_LIKE = st.text(alphabet="SunModay, Nov0123456789:-GMT \t", max_size=40)


ALMOST = st.builds(lambda text, place, sign: text[:place] + sign + text[place + 1:],
                   st.sampled_from([imf(NOW), rfc850(NOW), time.asctime(time.gmtime(NOW))]),
                   st.integers(0, 34), st.sampled_from("0123456789 ²٣") | st.characters())


@given(st.text(max_size=40) | DATE_LIKE | ALMOST, st.integers(-10**12, 10**12))
def test_any_text_is_a_date_or_none(text, now):
    read = parse(text, now)
    if read is not None:
        assert text.isascii() and imf(read)[17:25] in text
        assert len(text) != 29 or imf(read)[4:] == text[4:]
