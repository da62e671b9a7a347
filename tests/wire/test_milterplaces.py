"""Where filters are: as they are written, and what is none."""

import pytest

from daemons.wire.milterplaces import places


def test_several_places():
    one, two, three = places("unix:/run/x/milter.sock, filter.example:8891,[2001:db8::1]:11332")
    assert (one.path, one.host, one.port) == ("/run/x/milter.sock", "", 0)
    assert (two.path, two.host, two.port) == ("", "filter.example", 8891)
    assert (three.path, three.host, three.port) == ("", "2001:db8::1", 11332)


def test_a_place_is_told_as_it_is_written():
    text = "unix:/run/x/milter.sock,filter.example:8891,192.0.2.1:1,[2001:db8::1]:11332"
    assert ",".join(map(str, places(text))) == text


@pytest.mark.parametrize("text", [
    "", ",", "unix:", "unix:run/x", "/run/x", "localhost", "localhost:", "localhost:0", "localhost:65536", ":8891",
    "[::1]", "[::1]8891", "2001:db8::1:8891", "inet:8891@localhost", "local:/run/x", "unix:/run/x,", "a b:8891",
    "localhost:8_0"])
def test_what_is_no_place(text):
    with pytest.raises(ValueError, match=r"unix:|port|path"):
        places(text)
