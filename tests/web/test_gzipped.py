"""Compression while a file is asked for: which files, and that others can undo it."""

import gzip
import subprocess

import pytest

from daemons.web.gzipped import LEAST, MOST, compressed, is_worth

TEXT = b"line after line of much the same text\n" * 1000


@pytest.mark.parametrize("body", [b"", b"x", TEXT, bytes(range(256)) * 100])
def test_it_can_be_undone(body):
    data = compressed(body)
    assert gzip.decompress(data) == body
    assert subprocess.run(["gzip", "-dc"], input=data, capture_output=True, check=True).stdout == body


def test_it_is_worth_it_and_the_same_each_time():
    assert len(compressed(TEXT)) < len(TEXT) / 50 and compressed(TEXT) == compressed(TEXT)


@pytest.mark.parametrize("kind", [
    "text/html; charset=utf-8", "text/plain", "TEXT/CSS", "application/javascript", "application/json", "image/svg+xml",
    "application/wasm", "application/atom+xml", "application/geo+json", "application/xml"])
def test_what_is_compressed(kind):
    assert is_worth(kind, LEAST) and is_worth(kind, MOST)
    assert not is_worth(kind, LEAST - 1) and not is_worth(kind, MOST + 1)


@pytest.mark.parametrize("kind", ["image/png", "video/mp4", "application/zip", "application/octet-stream", "font/woff2",
                                  "application/pdf", "text/event-stream", "", "textual/plain"])
def test_what_is_not(kind):
    assert not is_worth(kind, LEAST)
