"""The contents of a folder, as a page for people and as JSON for programs.

A link is made of the name's octets, each but the unreserved ones of RFC 3986 (2.3) percent-encoded, so it leads
back to exactly that file whatever its name holds; what is shown of the name is for the eye alone.
"""

from itertools import groupby

from daemons.wire.pagestyle import escape, escape_lines, page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

COLUMNS = (("name", "Name"), ("size", "Size"), ("date", "Modified"))
UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
FIRST, LAST = -62135596800, 253402300799        # the years 1 to 9999 in seconds since 1970: what a date can say


class Entry:
    """One name in a folder: octets that are not UTF-8 are surrogates in it; size in octets, modified in seconds."""

    __slots__ = ("is_folder", "modified", "name", "size")

    def __init__(self, name: str, is_folder: bool, size: int, modified: float) -> None:
        self.name, self.is_folder, self.size, self.modified = name, is_folder, size, modified


def listing(path: str, entries: "Iterable[Entry]", sort: str = "name", descending: bool = False, *,
            now: float, readme: str = "") -> bytes:
    """The page of a folder whose URL has the decoded `path`, which ends in a slash; `now` in seconds since 1970.

    Folders come first; `sort` is one of the COLUMNS' words, anything else means name.  `readme` is plain text.
    """
    rows = ordered(_reachable(entries), sort, descending)
    up = '<a href="../">Parent folder</a>' if _steps(path) else ""
    parts = ["<main>\n", _heading(path)]
    if rows:
        parts.append(f'<p class="soft">{_summary(rows)}</p>\n<table class="list">\n')
        parts.append(f"{_columns(sort, descending)}<tbody>\n")
        if up:
            parts.append(f'<tr><th scope="row" class="up">{up}</th><td></td><td></td></tr>\n')
        parts.extend(map(_row, rows))
        parts.append("</tbody>\n</table>\n")
    else:
        parts.append(f"<p>This folder is empty.</p>\n{up and f'<p>{up}</p>'}\n")
    if readme.strip():
        parts.append(f"<section>\n<h2>Read me</h2>\n<pre>{escape_lines(readme.rstrip())}</pre>\n</section>\n")
    parts.append(f"</main>\n<footer>fd0 httpd. Times are in UTC; this page is of {_time(now)}.</footer>")
    return page(f"Contents of {path}", "".join(parts))


def listing_json(path: str, entries: "Iterable[Entry]") -> bytes:
    """The same in JSON, folders first, by name; a folder has no size.

    JSON has no octets: what of a name is not UTF-8 stands as U+FFFD, so two names may look alike; `href` is
    always exact, relative to the folder.
    """
    import json
    shown = [{"name": _decodable(entry.name), "href": href(entry.name, entry.is_folder),
              "type": "folder" if entry.is_folder else "file", "size": None if entry.is_folder else entry.size,
              "modified": f"{_second(entry.modified)}Z"} for entry in ordered(_reachable(entries))]
    return json.dumps({"path": _decodable(path), "entries": shown}, ensure_ascii=False).encode() + b"\n"


def wanted(query: str) -> tuple[str, bool]:
    """The column and "is it descending" that a URL's query asks for; what it does not say, or badly, is the default."""
    said = dict(part.partition("=")[::2] for part in query.split("&"))
    sort = said.get("sort", "")
    return sort if sort in dict(COLUMNS) else "name", said.get("order") == "desc"


def ordered(entries: "Iterable[Entry]", sort: str = "name", descending: bool = False) -> list[Entry]:
    """The entries, folders first; equals, and folders by size, by name from the first to the last."""
    by_name = sort not in ("size", "date")
    rows = sorted(entries, key=lambda entry: (natural(entry.name), entry.name), reverse=by_name and descending)
    if sort == "size":
        rows.sort(key=lambda entry: 0 if entry.is_folder else entry.size, reverse=descending)
    elif sort == "date":
        rows.sort(key=lambda entry: entry.modified, reverse=descending)
    rows.sort(key=lambda entry: not entry.is_folder)
    return rows


def natural(name: str) -> str:
    """A key by which file2 stands before File10: no cases, and each number led by its length."""
    runs = []
    for is_number, signs in groupby(name.casefold(), "0123456789".__contains__):
        run = "".join(signs)
        digits = run.lstrip("0")
        runs.append(f"0{chr(len(digits))}{digits}" if is_number else run)
    return "".join(runs)


def href(name: str, is_folder: bool = False) -> str:
    """The relative reference to a name in this folder, in ASCII; a folder's ends in a slash."""
    octets = name.encode("utf-8", "surrogateescape")
    link = octets.decode("ascii") if not octets.translate(None, UNRESERVED) else _encoded(octets)
    # an encoded colon already begins no scheme (RFC 3986, 4.2); the dot is for readers who decode first
    return f"{'./' if ':' in name else ''}{link}{'/' if is_folder else ''}"


def human(size: int) -> str:
    """A size in octets for people, two digits or more: 999 B, 1.4 KiB, 14 MiB."""
    if size < 1024:
        return f"{size} B"
    amount = float(size)
    for unit in UNITS:
        amount /= 1024
        if amount < 9.95:
            return f"{amount:.1f} {unit}"
        if amount < 1023.5:
            break
    return f"{amount:.0f} {unit}"


def _reachable(entries: "Iterable[Entry]") -> "Iterable[Entry]":
    """Those that a URL can lead to: dot segments are resolved before anybody asks us."""
    return (entry for entry in entries if entry.name not in ("", ".", ".."))


def _encoded(octets: bytes) -> str:
    return "".join(chr(octet) if octet in UNRESERVED else f"%{octet:02X}" for octet in octets)


def _decodable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _steps(path: str) -> list[str]:
    """The folders from the top down to this one."""
    return path.split("/")[1:-1]


def _heading(path: str) -> str:
    steps = ["Start", *_steps(path)]
    links = [f'<a href="{"../" * up}">{_shown(step)}</a>'
             for up, step in zip(range(len(steps) - 1, 0, -1), steps)]
    here = f'<b aria-current="page">{_shown(steps[-1])}</b>'
    return f'<nav aria-label="Path">\n<h1>{"<i>/</i>".join([*links, here])}</h1>\n</nav>\n'


def _summary(rows: list[Entry]) -> str:
    sizes = [entry.size for entry in rows if not entry.is_folder]
    folders = len(rows) - len(sizes)
    counts = [_counted(folders, 'folder')] if folders else []
    if sizes:
        counts.append(f"{_counted(len(sizes), 'file')} of {_size(sum(sizes))}")
    both = f"{_counted(len(rows), 'item')}: " if len(counts) > 1 else ""
    return both + ", ".join(counts)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _columns(sort: str, descending: bool) -> str:
    cells = []
    sort = sort if sort in dict(COLUMNS) else "name"
    for word, title in COLUMNS:
        kind = "" if word == "name" else ' class="number"'
        if word == sort:
            kind += f' aria-sort="{"descending" if descending else "ascending"}"'
            title += f'<span aria-hidden="true"> {"↓" if descending else "↑"}</span>'
        # the first click gives what people look for: the first names, the largest and the latest
        falls = not descending if word == sort else word != "name"
        link = f'?sort={word}&amp;order={"desc" if falls else "asc"}'
        cells.append(f'<th scope="col"{kind}><a rel="nofollow" href="{link}">{title}</a></th>')
    return f"<thead>\n<tr>{''.join(cells)}</tr>\n</thead>\n"


def _row(entry: Entry) -> str:
    folder, size = ' class="folder"', ""
    if not entry.is_folder:
        folder, size = "", _size(entry.size)
    return (f'<tr><th scope="row"{folder}><a href="{href(entry.name, entry.is_folder)}">'
            f'{_shown(entry.name)}{"/" * entry.is_folder}</a></th><td class="number">{size}</td>'
            f'<td class="number">{_time(entry.modified)}</td></tr>\n')


def _shown(name: str) -> str:
    """The name with blanks at its ends made visible."""
    bare = name.strip(" ")
    if bare != name:
        start = len(name) - len(name.lstrip(" "))
        name = "\u2423" * start + bare + "\u2423" * (len(name) - start - len(bare))
    return escape(name)


def _size(size: int) -> str:
    return f'<span title="{size:,} bytes">{human(size)}</span>'


def _time(seconds: float) -> str:
    text = _second(seconds)
    return f'<time datetime="{text}Z">{text[:10]}<span class="clock"> {text[11:16]}</span></time>'


def _second(seconds: float) -> str:
    """UTC, as ISO 8601 writes it; dates beyond what it can write are the last it can."""
    from datetime import UTC, datetime
    return datetime.fromtimestamp(min(max(seconds // 1, FIRST), LAST), UTC).isoformat()[:19]
