"""Pages for people: one stylesheet, one frame, and text that stays text in HTML.

A page brings everything with it: no script, no picture, no font, nothing to fetch.  Its colours follow the reader's
choice of light or dark, it prints, it fits a telephone, and nothing in it moves.  What classes there are:
`soft` (said quietly), `number` (to the right, figures of one width), `wide` (scrolls sideways by itself), and
those of a listing (`list`, `folder`, `up`, `clock`) and of an error (`notice`, `status`).
"""

# The sheet is named by its digest, so a <style> or style="" that somebody smuggled into a page counts for nothing;
# nothing else may be loaded, no form sent, no <base> moves our relative links, and nobody frames the page.
# tests/wire/test_pagestyle.py tells the digest.  Put this on pages of ours alone, not on the user's own files.
CSP = ("default-src 'none'; style-src 'sha256-SN2B2glbZoBJeZ5uh4fLkvjjgKsrKpeK9JrWten+BoY='; base-uri 'none'; "
       "form-action 'none'; frame-ancestors 'none'")

_SHEET = """
:root{color-scheme:light dark;
--paper:#fdfdfc;--ink:#1d2228;--soft:#59626d;--line:#dde1e6;--tint:#f1f4f7;--link:#0a4f96;--seen:#5d3f8e}
@media (prefers-color-scheme:dark){:root{
--paper:#15181c;--ink:#dfe3e8;--soft:#98a2ae;--line:#2d333a;--tint:#1d2228;--link:#8dbcf2;--seen:#c0aaf0}}
@media (prefers-contrast:more){:root{--soft:var(--ink);--line:var(--ink)}}
*{box-sizing:border-box}
html{font:100%/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;
-webkit-text-size-adjust:100%;text-size-adjust:100%;background:var(--paper);color:var(--ink)}
body{max-width:60rem;margin:0 auto;padding:2.5rem 1.5rem;overflow-wrap:anywhere}
h1{font-size:1.375rem;line-height:1.3;font-weight:600;margin:0 0 1.25rem}
h2{font-size:1.125rem;line-height:1.3;font-weight:600;margin:2.25rem 0 .75rem}
h3{font-size:1rem;font-weight:600;margin:1.5rem 0 .5rem}
p,ul,ol,dl{margin:0 0 1rem}
dt{font-weight:600}
dd{margin:0 0 .75rem 1.5rem}
a{color:var(--link);text-decoration-thickness:1px;text-underline-offset:.2em}
a:visited{color:var(--seen)}
a:hover{text-decoration-thickness:2px}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:2px}
code,pre,kbd,samp{font:.875rem/1.55 ui-monospace,"Cascadia Mono",Menlo,"DejaVu Sans Mono","Liberation Mono",monospace}
pre{margin:0 0 1rem;padding:1rem;background:var(--tint);border-radius:.375rem;white-space:pre-wrap}
hr{border:0;border-top:1px solid var(--line);margin:2rem 0}
table{border-collapse:collapse;width:100%;margin:0 0 1rem}
th,td{padding:.375rem .75rem;text-align:start;vertical-align:baseline;border-bottom:1px solid var(--line)}
thead th{font-size:.875rem;font-weight:600;color:var(--soft)}
.soft,footer{color:var(--soft);font-size:.875rem}
.number{text-align:end;white-space:nowrap;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
time{white-space:nowrap}
footer{margin-top:2.5rem}
h1 a,h1 b,.list th a{unicode-bidi:plaintext}
nav h1{font-weight:400}
h1 b{font-weight:600}
h1 i{font-style:normal;color:var(--soft);padding:0 .375rem}
nav a{text-decoration-line:none}
nav a:hover{text-decoration-line:underline}
.list th,.list td{padding:.4375rem 0 .4375rem 1.5rem}
.list th:first-child{padding-inline-start:0}
.list a{text-decoration-line:none}
.list a:hover{text-decoration-line:underline}
.list thead a{color:inherit;white-space:nowrap}
.list tbody a{padding:.4375rem 0}
.list tbody tr:hover{background:var(--tint);box-shadow:-.5rem 0 var(--tint),.5rem 0 var(--tint)}
.list tbody th:first-child{position:relative;width:100%;padding-inline-start:1.625rem;font-weight:400;
white-space:pre-wrap}
.list tbody td{color:var(--soft);font-size:.875rem}
.list tbody th::before{content:"";position:absolute;inset-inline-start:.125rem;top:.6875rem;width:.75rem;
height:.9375rem;border:1.5px solid var(--soft);border-start-end-radius:.375rem;opacity:.7}
.list .folder::before{inset-inline-start:0;top:.8125rem;width:1rem;height:.75rem;border-radius:0;opacity:1;
background:var(--soft);clip-path:polygon(0 0,42% 0,52% 18%,100% 18%,100% 100%,0 100%)}
.list .up::before{content:"\\2191" / "";border:0;top:.4375rem;height:auto;color:var(--soft);opacity:1}
.notice{max-width:34rem;padding-top:8vh}
.status{font-size:4rem;line-height:1;font-weight:300;color:var(--soft);margin:0 0 1rem}
@media (max-width:40rem){body{padding:1.25rem 1rem}th,td{padding:.5rem .375rem}
.list th,.list td{padding-left:1rem}.list .clock{display:none}}
@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--line:#999;--tint:#fff;--link:#000;--seen:#000}
body{max-width:none;padding:0}thead{display:table-header-group}tr{break-inside:avoid}pre{padding:0}}
"""

# Signs with a meaning in HTML; controls as the pictures Unicode has of them; and what cannot be shown or would
# reorder or break the text around it (C1, directions, line separators, U+FEFF, U+FFFE, U+FFFF)
_LINES: dict[int, str] = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;", ord("'"): "&#39;",
                          0x7f: "\u2421"}
_LINES.update((code, chr(0x2400 + code)) for code in range(0x20) if chr(code) not in "\t\n")
_LINES.update(dict.fromkeys((*range(0x80, 0xa0), 0x61c, 0x200e, 0x200f, *range(0x2028, 0x202f), *range(0x2066, 0x206a),
                             0xfeff, 0xfffe, 0xffff), "\ufffd"))
_SHOWN = {**_LINES, 0x09: "\u2409", 0x0a: "\u240a"}


def escape(text: str) -> str:
    """The text for an element or a quoted attribute of HTML, on one line; it can always be encoded.

    Controls show as pictures (U+2400 and on); octets that were not UTF-8 (surrogates) and signs that turn the
    direction of writing, as U+FFFD.
    """
    return _encodable(text).translate(_SHOWN)


def escape_lines(text: str) -> str:
    """The same for text of several lines: line feeds and tabs stay, as in <pre>."""
    return _encodable(text).replace("\r\n", "\n").translate(_LINES)


def _encodable(text: str) -> str:
    """The text with U+FFFD for each lone surrogate; UTF-16 knows them all, and needs no table of two thousand."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def style() -> str:
    """The <style> element that all pages share."""
    return f"<style>{_SHEET}</style>"


def page(title: str, body_html: str, *, lang: str = "en") -> bytes:
    """A whole HTML document in UTF-8; `title` is text, `body_html` goes into <body> as it is."""
    return ("<!DOCTYPE html>\n"
            f'<html lang="{escape(lang)}">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{escape(title)}</title>\n{style()}\n</head>\n"
            f"<body>\n{body_html}\n</body>\n</html>\n").encode("utf-8", "replace")
