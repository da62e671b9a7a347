"""Dates of HTTP, in English whatever the locale, and back to seconds since 1970 (RFC 9110, 5.6.7).

    Sun, 06 Nov 1994 08:49:37 GMT       IMF-fixdate, the only form that we write
    Sunday, 06-Nov-94 08:49:37 GMT      rfc850-date
    Sun Nov  6 08:49:37 1994            asctime-date
"""

from functools import lru_cache

DAY = 86400
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SHORT_DAYS = tuple(day[:3] for day in DAYS)
NUMBERS = {name: number for number, name in enumerate(MONTHS, 1)}
TOO_FAR = 50                    # years; what is farther ahead is meant to be long ago


def imf(seconds: float) -> str:
    """A time as IMF-fixdate, cut to the second; ValueError where its year has not four digits."""
    return _imf(int(seconds // 1))


def parse(text: str, now: float) -> int | None:
    """The seconds since 1970 that a date of any of the three forms tells, or None for what is no date.

    `now`, in seconds, decides which century a year of two digits is of.  The name of the day must be one, but is not
    compared with the date.
    """
    if len(text) == 29:
        return _fixdate(text)
    if len(text) == 24:
        return _asctime(text)
    return _rfc850(text, now)


def civil(number: int) -> tuple[int, int, int]:
    """Year, month and day of the Gregorian calendar, so many days after 1970-01-01."""
    # counted from a first of March, so that the leap day is the last of its year, of four years and of 400
    era, day_of_era = divmod(number + 719468, 146097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    return era * 400 + year + (month > 9), month + 3 if month < 10 else month - 9, day


def days(year: int, month: int, day: int) -> int:
    """How many days after 1970-01-01 a date is: the inverse of civil()."""
    year -= month < 3
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + day_of_year - 719468


# a busy server writes the same second, and the same files' times, over and over
@lru_cache(maxsize=1024)
def _imf(seconds: int) -> str:
    day, rest = divmod(seconds, DAY)
    year, month, date = civil(day)
    if not 0 <= year <= 9999:
        raise ValueError(f"no year of four digits: {year}")
    # 1970-01-01 was a Thursday
    return (f"{SHORT_DAYS[(day + 3) % 7]}, {date:02} {MONTHS[month - 1]} {year:04} "
            f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02} GMT")


@lru_cache(maxsize=1024)
def _fixdate(text: str) -> int | None:
    if text[:3] not in SHORT_DAYS or text[3:5] != ", " or text[7] + text[11] + text[16] != "   " or text[25:] != " GMT":
        return None
    return _seconds(text[12:16], text[8:11], text[5:7], text[17:25])


def _asctime(text: str) -> int | None:
    if text[:3] not in SHORT_DAYS or text[3] + text[7] + text[10] + text[19] != "    ":
        return None
    # a day of one digit has a space for the other
    day = "0" + text[9] if text[8] == " " else text[8:10]
    return _seconds(text[20:], text[4:7], day, text[11:19])


def _rfc850(text: str, now: float) -> int | None:
    name, _, rest = text.partition(", ")
    if name not in DAYS or len(rest) != 22 or rest[2] + rest[6] + rest[9] != "-- " or rest[18:] != " GMT":
        return None
    if not rest[7:9].isascii() or not rest[7:9].isdigit():
        return None
    today, second = divmod(int(now // 1), DAY)
    this_year, this_month, this_day = civil(today)
    latest = this_year + TOO_FAR
    year = latest - (latest - int(rest[7:9])) % 100
    moment = _seconds(f"{year:04}", rest[3:6], rest[:2], rest[10:18])
    if year == latest:
        ahead = _seconds("2000", rest[3:6], rest[:2], rest[10:18])      # the same day of a year that has all days
        if ahead is not None and ahead > days(2000, this_month, this_day) * DAY + second:
            return _seconds(f"{year - 100:04}", rest[3:6], rest[:2], rest[10:18])
    return moment


def _seconds(year: str, month: str, day: str, clock: str) -> int | None:
    """What the fields of a date amount to, or None where one of them is wrong."""
    digits = year + day + clock[:2] + clock[3:5] + clock[6:]
    if not digits.isascii() or not digits.isdigit() or clock[2] + clock[5] != "::" or month not in NUMBERS:
        return None
    hour, minute, second = int(clock[:2]), int(clock[3:5]), int(clock[6:])
    # a leap second is counted as the first of the next day
    if hour > 23 or minute > 59 or (second > 59 and clock != "23:59:60"):
        return None
    number = days(int(year), NUMBERS[month], int(day))
    if civil(number) != (int(year), NUMBERS[month], int(day)):          # the 31st of February, the 0th of May
        return None
    return number * DAY + hour * 3600 + minute * 60 + second
