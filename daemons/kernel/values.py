"""Kinds of option values: text in, value out, or ValueError with a sentence for the administrator.

The name of each function is the word that `--help` shows for the value.
"""

from collections.abc import Callable

LONGEST = 24 * 86400    # seconds; poll(2) waits no longer than 2**31 milliseconds


def number(text: str) -> int:
    """A whole number of zero or more, in ASCII digits: int() also takes "1_0", " 5 " and other scripts' digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(f"not a whole number: {text!r}")
    return int(text)


def count(text: str) -> int:
    """A whole number of one or more."""
    value = number(text)
    if value < 1:
        raise ValueError("must be 1 or more")
    return value


def processes(text: str) -> int:
    """A number of processes, or "cores": one for each processor that we may use."""
    if text == "cores":
        import os
        return len(os.sched_getaffinity(0))
    return count(text)


def seconds(text: str) -> float:
    """A time in seconds: 90, 1.5, or with a unit: 30s, 5m, 2h, 1d."""
    scale = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:], 0)
    figure = text[:-1] if scale else text
    whole, _, part = figure.partition(".")
    if not (whole + part).isascii() or not whole.isdigit() or not (part or "0").isdigit() or len(figure) > 12:
        raise ValueError(f"not a time: {text!r} (write 90, 1.5, 30s, 5m, 2h or 1d)")
    value = float(figure) * (scale or 1)
    if value > LONGEST:
        raise ValueError("must be 24 days or less")
    return value


def linger(text: str) -> float:
    """A time of 3 seconds or more: what ends sooner looks like a crash loop to the launcher that restarts it."""
    value = seconds(text)
    if value < 3:
        raise ValueError("must be 3 seconds or more, or launchers take it for a crash loop")
    return value


def size(text: str) -> int:
    """A number of octets: 4096, or with a unit of 1,024: 64K, 10M, 1G."""
    scale = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 0)
    try:
        return number(text[:-1] if scale else text) * (scale or 1)
    except ValueError:
        raise ValueError(f"not a size: {text!r} (write 4096, 64K, 10M or 1G)") from None


def in_units(octets: int) -> str:
    """A number of octets as `size` reads it, in the largest unit that leaves it whole."""
    for unit, scale in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if octets and octets % scale == 0:
            return f"{octets // scale}{unit}"
    return str(octets)


def switch(text: str) -> bool:
    """yes or no."""
    if text not in ("yes", "no"):
        raise ValueError(f"say yes or no, not {text!r}")
    return text == "yes"


def text(text: str) -> str:
    """Any text."""
    return text


def path(text: str) -> str:
    """An absolute path: a launched program's working directory is the launcher's business."""
    if not text.startswith("/"):
        raise ValueError(f"not an absolute path: {text!r}")
    return text


def place(text: str) -> str:
    """Where limits are counted: shared, own, or an absolute path."""
    return text if text in ("shared", "own") else path(text)


def tag(text: str) -> str:
    """A name of at most 31 octets, in printable ASCII without blanks."""
    if not (text.isascii() and text.isprintable() and 0 < len(text) < 32 and " " not in text):
        raise ValueError(f"not a name of 1 to 31 characters without blanks: {text!r}")
    return text


def paths(text: str) -> list[str]:
    """Absolute paths, separated by commas."""
    return [path(word.strip()) for word in text.split(",")]


def words(text: str) -> list[str]:
    """Words, separated by commas or blanks."""
    return text.replace(",", " ").split()


def choice(*allowed: str) -> Callable[[str], str]:
    """The kind that takes one of these words."""

    def one(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}; not {text!r}")
        return text

    one.__name__ = "|".join(allowed)
    return one


def several(*allowed: str) -> Callable[[str], list[str]]:
    """The kind that takes any of these words, separated by commas."""

    def some(text: str) -> list[str]:
        for word in words(text):
            if word not in allowed:
                raise ValueError(f"must be of {', '.join(allowed)}; not {word!r}")
        return words(text)

    some.__name__ = "|".join(allowed) + ",..."
    return some


place.__name__, tag.__name__, processes.__name__ = "shared|own|PATH", "name", "count|cores"


def hosts(port: int) -> Callable[[str], list[tuple[str, int]]]:
    """The kind that takes hosts, separated by commas or blanks, each with a port of its own or with this one."""

    def listed(text: str) -> list[tuple[str, int]]:
        found = []
        for word in words(text):
            name, bracket, rest = word[1:].partition("]") if word.startswith("[") else ("", "", word)
            if not bracket:
                name, colon, rest = word.partition(":")
                rest = colon + rest
            figure = rest.removeprefix(":")
            if not name or (rest and not (rest != figure and 0 < number(figure) < 65536)):
                raise ValueError(f"not a host, host:port or [address]:port: {word!r}")
            found.append((name, int(figure or port)))
        return found

    listed.__name__ = "host:port,..."
    return listed
