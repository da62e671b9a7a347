"""The If field: RFC 4918's examples, what is true without locks, and what is no If field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.davconditions import MOST, holds
from daemons.wire.httpstatus import Refused

TAGS = {None: '"own"', "/a": '"a"', "http://www.example.com/b": '"b"'}


def true(value):
    return holds(value, TAGS.get)


# RFC 4918, 10.4.6 to 10.4.11: a token of a lock is true nowhere here
@pytest.mark.parametrize(("value", "result"), [
    ('(<urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2> ["I am an ETag"]) (["I am another ETag"])', False),
    ('(<urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2> ["I am an ETag"]) (["own"])', True),
    ('(Not <urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2> <urn:uuid:58f202ac-22cf-11d1-b12d-002035b29092>)', False),
    ('(<urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2>) (Not <DAV:no-lock>)', True),
    ('</a> (<urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2> [W/"A weak ETag"]) (["strong ETag"])', False),
    ('</a> (["a"]) <http://www.example.com/b> (["no"])', True),
    ('<http://www.example.com/b>(["b"])', True), ('</nowhere> (["a"])', False), ('</nowhere> (Not ["a"])', True),
    ('(["own"]nOt<x>)', True), ('(Not["own"])', False), ('([W/"own"])', False), ('(Not [W/"own"])', True),
    ('(["a]b"]) (Not ["a)b"])', True), ('([""])', False), ('\t( ["own"]\t) ', True)])
def test_which_hold(value, result):
    assert true(value) is result


@pytest.mark.parametrize("value", [
    "", " ", "x", "()", "( )", "(", "(x)", "(<>)", "(<a>", '(["own"', '(["own)', "([own])", '([x"own"])', "(Not)",
    "</a>", "</a> </b>", "</a> (<x>) </b>", '(["own"]) </a> (["a"])', '(["own"]) x', '(["own"]),(["own"])', '(["])',
    "(Not Not <x>)"])
def test_what_is_none(value):
    with pytest.raises(Refused) as refusal:
        true(value)
    assert refusal.value.status == 400


def test_nobody_makes_us_look_for_ever():
    asked = []
    assert not holds("(" + '["x"]' * MOST + ")", asked.append) and len(asked) == 1
    with pytest.raises(Refused):
        holds('(["x"])' * (MOST + 1), asked.append)
    assert len(asked) == 1              # it is read as a whole before anything is looked for
    assert not holds('(["x"])' * MOST, asked.append) and len(asked) == MOST + 1


@given(st.text(st.sampled_from('()<>[]" Notx/W'), max_size=40))
def test_anything_is_true_false_or_refused(value):
    try:
        assert true(value) in (True, False)
    except Refused as refusal:
        assert refusal.status == 400
