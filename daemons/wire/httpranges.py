"""Parts of a file that a client asks for, and how they are answered (RFC 9110, 14 and 15.3.7).

    bytes=0-499      bytes=9500-      bytes=-500      bytes=0-0, 500-999, -1

A range here is (first, last): offsets from 0, both of them inside.
"""

MOST = 32                       # ranges in an answer; who wants more gets the whole (CVE-2011-3192)
MOST_ASKED = 256                # ranges in a question, before those that touch are joined
DIGITS = 19                     # of an offset; 2**63, the most octets of a file, has no more
BEYOND = 10**DIGITS             # stands for every offset that is longer


def ranges(text: str, size: int) -> list[tuple[int, int]] | None:
    """The ranges that a Range field asks of `size` octets, in its order, ranges that overlap or touch made one.

    An empty list means that none can be had (416), None that the field is to be ignored: another unit, a mistake,
    more ranges than anybody has a use for, or a file without octets, of which no range can be told.
    """
    unit, equals, listed = text.partition("=")
    if not equals or unit.lower() != "bytes" or not size or listed.count(",") >= MOST_ASKED:
        return None
    found, asked = [], 0
    for spec in listed.split(","):
        spec = spec.strip(" \t")
        if not spec:                    # RFC 9110, 5.6.1.2: empty elements of a list are passed over
            continue
        asked += 1
        one = _range(spec, size)
        if one is None:
            return None
        if one[0] < size:
            found.append(one)
    if not asked:
        return None
    if len(found) > 1:
        found = _joined(found)
    return found if len(found) <= MOST else None


def content_range(first: int, last: int, size: int) -> str:
    """The value of Content-Range for one range (RFC 9110, 14.4)."""
    return f"bytes {first}-{last}/{size}"


def unsatisfied(size: int) -> str:
    """The value of Content-Range where no range could be had, for a 416."""
    return f"bytes */{size}"


# -- more than one range: multipart/byteranges (RFC 9110, 14.6) --


def part_head(boundary: str, content_type: str, first: int, last: int, size: int) -> bytes:
    """What stands before the octets of one range; the line ending in front belongs to the boundary.

    The first part has it too, which 14.6 allows.
    """
    return (f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
            f"Content-Range: bytes {first}-{last}/{size}\r\n\r\n").encode("latin-1")


def parts_end(boundary: str) -> bytes:
    """What stands after the octets of the last range."""
    return f"\r\n--{boundary}--\r\n".encode("latin-1")


def multipart_length(boundary: str, content_type: str, parts: list[tuple[int, int]], size: int) -> int:
    """The Content-Length of all these ranges, with what stands around them."""
    return len(parts_end(boundary)) + sum(len(part_head(boundary, content_type, first, last, size)) + last - first + 1
                                          for first, last in parts)


def _range(spec: str, size: int) -> tuple[int, int] | None:
    """One range, beginning at `size` or after it where there is nothing to be had; None where it is none."""
    start, dash, end = spec.partition("-")
    if not dash:
        return None
    if not start:
        length = _offset(end)
        return None if length < 0 else (max(size - length, 0) if length else size, size - 1)
    first, last = _offset(start), _offset(end) if end else BEYOND
    return None if first < 0 or last < first else (first, min(last, size - 1))


def _offset(word: str) -> int:
    """A number however long it is, or -1 for what is none."""
    if not word.isascii() or not word.isdigit():
        return -1
    digits = word.lstrip("0")
    return int(digits or "0") if len(digits) <= DIGITS else BEYOND


def _joined(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges with those that overlap or touch as one, in the place of whichever was asked for first."""
    groups: list[list[int]] = []                                    # place, first, last
    for place in sorted(range(len(found)), key=found.__getitem__):
        first, last = found[place]
        if groups and first <= groups[-1][2] + 1:
            group = groups[-1]
            group[0], group[2] = min(group[0], place), max(group[2], last)
        else:
            groups.append([place, first, last])
    return [(first, last) for _, first, last in sorted(groups)]
