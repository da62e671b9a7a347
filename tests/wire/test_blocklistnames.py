"""Names of block lists and their answers, by the examples of RFC 5782."""

import pytest

from daemons.wire import blocklistnames


@pytest.mark.parametrize("address, name", [
    ("192.0.2.99", "99.2.0.192.bad.example.com"), ("127.0.0.2", "2.0.0.127.bad.example.com"),
    ("::ffff:192.0.2.99", "99.2.0.192.bad.example.com"),
    ("2001:db8:1:2:3:4:567:89ab",
     "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bad.example.com"),
    ("fe80::1%eth0", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.bad.example.com")])
def test_names(address, name):
    assert blocklistnames.name_of(address, "bad.example.com") == name


def test_what_is_no_address_has_no_name():
    with pytest.raises(ValueError):
        blocklistnames.name_of("bad.example.com", "bad.example.com")


@pytest.mark.parametrize("answers, listed, trouble", [
    ([], False, False), (["127.0.0.2"], True, False), (["127.0.0.2", "127.255.255.252"], True, False),
    (["127.255.255.254"], False, True), (["192.0.2.1"], False, True), (["127.1.2.3"], True, False)])
def test_answers(answers, listed, trouble):
    assert (blocklistnames.is_listed(answers), blocklistnames.is_trouble(answers)) == (listed, trouble)


def test_words_are_plain_and_short():
    assert blocklistnames.words([b"see http://x.test/?a=1", b"now"]) == "see http://x.test/?a=1 now"
    assert blocklistnames.words([b"a\r\n250 ok\x1b[2J\xff"]) == "a??250 ok?[2J?"
    assert len(blocklistnames.words([b"x" * 60000])) == blocklistnames.LONGEST


def test_zones():
    assert blocklistnames.zones("Zen.example.com., b.test") == ["zen.example.com", "b.test"]
    with pytest.raises(ValueError, match=r"a\.\.b"):
        blocklistnames.zones("x.test,a..b")
