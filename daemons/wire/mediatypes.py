"""Media types by the extension of a file's name: a table of our own, and /etc/mime.types.

    text/html       html htm        # a type, then the extensions that it goes by
"""

from collections.abc import Mapping
from functools import lru_cache

UNKNOWN = "application/octet-stream"
CHARSET = "; charset=utf-8"
SEPARATORS = frozenset('"(),:;<=>?@[\\]{}')        # what no token has (RFC 9110, 5.6.2), beside the slash


def parse(text: str) -> dict[str, str]:
    """The types of a file as /etc/mime.types is, by extension in lower case; the last line about one counts.

    Lines whose first word could not stand in a Content-Type field are passed over.
    """
    table = {}
    for line in text.split("\n"):
        kind, *extensions = line.partition("#")[0].split() or [""]
        if not _is_type(kind):
            continue
        for extension in extensions:
            table[extension.lower()] = kind.lower()
    return table


def of(name: str, table: Mapping[str, str]) -> str:
    """The Content-Type of a file, by the last extension of its name; a dot at the beginning begins none."""
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    return _labelled(table.get(extension.lower(), UNKNOWN) if dot and stem else UNKNOWN)


@lru_cache(maxsize=256)
def _labelled(kind: str) -> str:
    """The type with a charset where one helps.

    Text is UTF-8 today, and without the label browsers would take it for a charset of their country.  JSON is UTF-8
    by definition and has no such parameter (RFC 8259, 11).  XML says its charset itself, and the label would overrule
    it (RFC 7303, 3.2), so that an old file in Latin-1 could not be read.
    """
    return kind + CHARSET if kind.startswith("text/") and ";" not in kind and "xml" not in kind else kind


def _is_type(word: str) -> bool:
    kind, slash, subtype = word.partition("/")
    return bool(kind and slash and subtype) and word.isascii() and word.isprintable() and SEPARATORS.isdisjoint(word)


BUILTIN = parse("""
    text/html                               html htm shtml
    text/css                                css
    text/javascript                         js mjs          # RFC 9239; application/javascript is its old name
    text/plain                              txt text log conf cfg ini diff patch asc
    text/markdown                           md markdown
    text/csv                                csv
    text/tab-separated-values               tsv
    text/calendar                           ics
    text/vcard                              vcf vcard
    text/vtt                                vtt
    text/x-python                           py
    text/x-c                                c h
    text/x-sh                               sh
    application/json                        json map
    application/ld+json                     jsonld
    application/geo+json                    geojson
    application/manifest+json               webmanifest
    application/wasm                        wasm
    application/xml                         xml xsl xsd
    application/xhtml+xml                   xhtml xht
    application/atom+xml                    atom
    application/rss+xml                     rss
    application/yaml                        yaml yml
    application/toml                        toml

    image/png                               png
    image/apng                              apng
    image/jpeg                              jpg jpeg jpe
    image/gif                               gif
    image/webp                              webp
    image/avif                              avif
    image/heic                              heic
    image/jxl                               jxl
    image/svg+xml                           svg
    image/bmp                               bmp
    image/tiff                              tif tiff
    image/vnd.microsoft.icon                ico

    font/woff2                              woff2
    font/woff                               woff
    font/ttf                                ttf
    font/otf                                otf
    font/collection                         ttc

    audio/mpeg                              mp3
    audio/mp4                               m4a
    audio/aac                               aac
    audio/ogg                               ogg oga opus
    audio/flac                              flac
    audio/wav                               wav
    audio/webm                              weba
    audio/midi                              mid midi
    audio/mpegurl                           m3u
    video/mp4                               mp4 m4v
    video/webm                              webm
    video/ogg                               ogv
    video/quicktime                         mov
    video/mpeg                              mpg mpeg
    video/mp2t                              ts
    video/x-matroska                        mkv
    video/x-msvideo                         avi
    application/vnd.apple.mpegurl           m3u8
    application/dash+xml                    mpd

    application/pdf                         pdf
    application/postscript                  ps eps
    application/rtf                         rtf
    application/epub+zip                    epub
    application/msword                      doc
    application/vnd.ms-excel                xls
    application/vnd.ms-powerpoint           ppt
    application/vnd.openxmlformats-officedocument.wordprocessingml.document     docx
    application/vnd.openxmlformats-officedocument.spreadsheetml.sheet           xlsx
    application/vnd.openxmlformats-officedocument.presentationml.presentation   pptx
    application/vnd.oasis.opendocument.text                                     odt
    application/vnd.oasis.opendocument.spreadsheet                              ods
    application/vnd.oasis.opendocument.presentation                             odp

    application/zip                         zip
    application/gzip                        gz tgz
    application/x-tar                       tar
    application/x-bzip2                     bz2
    application/x-xz                        xz
    application/zstd                        zst
    application/x-7z-compressed             7z
    application/vnd.rar                     rar
    application/java-archive                jar
    application/vnd.debian.binary-package   deb
    application/x-rpm                       rpm
    application/vnd.android.package-archive apk
    application/x-iso9660-image             iso
    application/x-bittorrent                torrent
    application/vnd.sqlite3                 sqlite
    application/pgp-signature               sig
""")
