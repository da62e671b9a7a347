"""The page that a browser gets where programs make calls: which methods there are, and how to call them.

Its look is that of all pages (pagestyle.py) and a few rules more.  Every text in it may be anybody's: a docstring, the
help of a program, the title; all are escaped.
"""

from daemons.wire import pagestyle
from daemons.wire.pagestyle import escape, escape_lines

# as pagestyle.CSP has it, with our own rules beside the shared ones; tests/wire/test_methodpage.py tells the digest
CSP = pagestyle.CSP.replace("style-src ", "style-src 'sha256-9zlo8pEda+WPlZrtJewx3OEDMrwSG6k/yfjbiLd4FDQ=' ")

_RULES = """
.skip{position:absolute;left:-99rem}
.skip:focus{position:static;display:inline-block;margin-bottom:1rem}
.lead{font-size:1.0625rem;max-width:44rem}
nav ul{list-style:none;padding:0;columns:9rem auto;column-gap:1.5rem}
nav li{break-inside:avoid;padding:.125rem 0}
nav p{margin:0 0 .25rem;font-size:.875rem;color:var(--soft)}
nav{margin-bottom:2rem}
a:visited{color:var(--link)}
section{position:relative;border-top:1px solid var(--line);scroll-margin-top:.5rem}
section:target{background:var(--tint);box-shadow:-.75rem 0 0 var(--tint),.75rem 0 0 var(--tint)}
summary{padding:.6875rem 2rem .6875rem 1.25rem;cursor:pointer;list-style:none;position:relative}
summary::-webkit-details-marker{display:none}
summary::before{content:"";position:absolute;left:.125rem;top:1.1875rem;width:.375rem;height:.375rem;
border:solid var(--soft);border-width:0 1.5px 1.5px 0;transform:rotate(-45deg)}
[open]>summary::before{transform:rotate(45deg);top:1.125rem}
summary h3{display:inline;margin:0;font-weight:400}
summary code{color:var(--soft)}
summary b{font-weight:600;color:var(--ink)}
.help{padding:0 0 .75rem 1.25rem;max-width:46rem}
.help :last-child{margin-bottom:.25rem}
.mark{position:absolute;right:.25rem;top:.6875rem;color:var(--soft);text-decoration-line:none}
.tag{font-size:.75rem;color:var(--soft);border:1px solid var(--line);border-radius:1rem;padding:.0625rem .5rem;
margin-inline-start:.5rem;white-space:nowrap}
.uses{border-top:1px solid var(--line);border-bottom:1px solid var(--line);margin-bottom:2rem}
.uses summary{font-weight:600}
@media (max-width:40rem){.help{padding-left:0}}
@media print{.skip,.mark,nav,summary::before{display:none}summary,.help{padding-left:0}}
"""


class Entry:
    """A method as the page tells of it: `signature` is "(name: type) -> type", `note` a word or two beside it."""

    __slots__ = ("help", "name", "note", "signature")

    def __init__(self, name: str, signature: str, help: str = "", note: str = "") -> None:
        self.name, self.signature, self.help, self.note = name, signature, help, note


def page(title: str, address: str, entries: list[Entry], about: str = "", by_json: bool = True) -> bytes:
    """The whole document, in UTF-8; to be sent with CSP.

    `address` is the URL that calls go to, `about` a sentence or more under the title; `by_json` is whether JSON-RPC
    is spoken there, too.
    """
    groups = _groups(entries)
    parts = ['<a class="skip" href="#methods">Skip to the methods</a>',
             f"<header>\n<h1>{escape(title)}</h1>",
             *([f'<p class="lead">{escape(about)}</p>'] if about else []),
             "</header>", _contents(groups), _how_to_call(address, _example(entries), by_json),
             '<main id="methods">', *[_group(name, some) for name, some in groups], "</main>",
             f"<footer>{len(entries)} method{'' if len(entries) == 1 else 's'}. Served by xmlrpcd of fd0.</footer>"]
    return ("<!DOCTYPE html>\n"
            '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{escape(title)}</title>\n{pagestyle.style()}\n<style>{_RULES}</style>\n</head>\n"
            "<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n").encode("utf-8", "replace")


def _groups(entries: list[Entry]) -> list[tuple[str, list[Entry]]]:
    """The methods by what stands before the first dot of their names; what a server tells of itself comes last."""
    found: dict[str, list[Entry]] = {}
    for one in sorted(entries, key=lambda one: one.name):
        found.setdefault(one.name.partition(".")[0] if "." in one.name else "", []).append(one)
    return sorted(found.items(), key=lambda group: (group[0] == "system", group[0]))


def _example(entries: list[Entry]) -> str:
    """A method that can be called as it is, and that is not about this server if there is another."""
    simple = [one.name for one in entries if one.signature.startswith("()")]
    return next((name for name in simple if not name.startswith("system.")), "system.listMethods")


def _how_to_call(address: str, method: str, by_json: bool) -> str:
    address = "".join(sign if sign.isprintable() else "?" for sign in address)
    python = (f"from xmlrpc.client import ServerProxy\n\nserver = ServerProxy({_quoted(address)})\n"
              f"print(server.{method}())")
    text = f"<p>XML-RPC goes to <code>{escape(address)}</code>. In Python:</p>\n<pre>{escape_lines(python)}</pre>\n"
    if by_json:
        body = f'{{"jsonrpc": "2.0", "id": 1, "method": "{method}"}}'
        curl = f"curl --json '{body}' {_for_a_shell(address)}"
        text += f"<p>JSON-RPC 2.0 goes there as well:</p>\n<pre>{escape_lines(curl)}</pre>\n"
    return ('<details class="uses" open>\n<summary>How to call a method</summary>\n'
            f'<div class="help">{text}</div>\n</details>')


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _for_a_shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _contents(groups: list[tuple[str, list[Entry]]]) -> str:
    lists = [f'<p>{_heading(name)}</p>\n<ul aria-label="{_heading(name)}">\n'
             + "\n".join(f'<li><a href="#{_anchor(one.name)}">{escape(one.name.removeprefix(f"{name}."))}</a></li>'
                         for one in some) + "\n</ul>" for name, some in groups]
    return '<nav aria-label="Methods">\n' + "\n".join(lists) + "\n</nav>"


def _group(name: str, entries: list[Entry]) -> str:
    return f"<h2>{_heading(name)}</h2>\n" + "\n".join(map(_method, entries))


def _heading(name: str) -> str:
    return escape(name) or "Methods"


def _method(entry: Entry) -> str:
    anchor, name = _anchor(entry.name), escape(entry.name)
    signature = escape(entry.signature.replace(" -> ", " → "))
    note = f'<span class="tag">{escape(entry.note)}</span>' if entry.note else ""
    return (f'<section id="{anchor}">\n<details open>\n'
            f"<summary><h3><code><b>{name}</b>{signature}</code></h3>{note}</summary>\n"
            f'<div class="help">{_help(entry.help)}</div>\n</details>\n'
            f'<a class="mark" href="#{anchor}" aria-label="Link to {name}">#</a>\n</section>')


def _help(text: str) -> str:
    """Paragraphs between blank lines; those that are indented as they stand."""
    if not text.strip():
        return '<p class="soft">Nothing is told about it.</p>'
    parts = []
    for block in text.replace("\r\n", "\n").strip("\n").split("\n\n"):
        lines = [line for line in block.split("\n") if line.strip()]
        if lines and all(line.startswith((" ", "\t")) for line in lines):
            edge = min(len(line) - len(line.lstrip()) for line in lines)
            parts.append(f"<pre>{escape_lines(chr(10).join(line[edge:] for line in lines))}</pre>")
        elif lines:
            parts.append(f"<p>{escape_lines(chr(10).join(line.strip() for line in lines))}</p>")
    return "\n".join(parts)


def _anchor(name: str) -> str:
    return "m-" + escape(name).replace("%", "%25").replace(" ", "%20")
