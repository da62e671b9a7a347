"""Numbers as protocols and files write them: ASCII digits, nothing else.

int() also takes "1_0", " 5 ", "+5" and the digits of every script, and spends quadratic time
on a million of them; none of that belongs on a wire.
"""

DIGITS = 20                     # enough for 64 bits; who sends more is not counting


def number(text: str | bytes, least: int = 0, most: int = 2**63 - 1) -> int:
    """Return the number that `text` spells in base 10; a minus sign is taken where `least` is below zero."""
    word = text.decode("latin-1") if isinstance(text, bytes) else text
    digits = word.removeprefix("-") if least < 0 else word
    if not digits.isascii() or not digits.isdigit() or len(digits) > DIGITS:
        raise ValueError(f"not a whole number: {word[:40]!r}")
    return _within(int(word), least, most)


def octal(text: str | bytes, most: int = 0o777) -> int:
    """Return the number that `text` spells in base 8, as modes and umasks are written."""
    word = text.decode("latin-1") if isinstance(text, bytes) else text
    if not word or word.strip("01234567") or len(word) > DIGITS:
        raise ValueError(f"not an octal number: {word[:40]!r}")
    if int(word, 8) > most:
        raise ValueError(f"must be at most {most:o} (octal), not {word}")
    return int(word, 8)


def _within(value: int, least: int, most: int) -> int:
    if least <= value <= most:
        return value
    raise ValueError(f"must be {f'{least} or more' if value < least else f'{most} or less'}, not {value}")
