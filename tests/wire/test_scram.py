"""SCRAM-SHA-256: the RFC's own exchange, octet by octet, both sides against each other, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import scram
from daemons.wire.saslprep import saslprep
from daemons.wire.scram import Client, Improper, Server, fake_keys, make_keys, parse_client_first, parse_keys

# RFC 7677, section 3: user "user", password "pencil"
SALT, NONCE = b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81", b"rOprNGfwEbeRWgbNEkqO"
MORE = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
LAST = (b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
KEPT = ("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
BINDINGS = {"tls-exporter": b"\x01" * 32}


def server(first=FIRST, **more):
    return Server(parse_client_first(first), parse_keys(KEPT), MORE, **more)


# ------------------------------------------------------------------ the RFC's exchange

def test_the_server_says_what_the_rfc_says():
    one = server()
    assert one.challenge == CHALLENGE and one.finish(LAST) == FINAL


def test_the_client_says_what_the_rfc_says():
    client = Client("user", b"pencil", NONCE)
    assert client.first == FIRST and client.answer(CHALLENGE) == LAST
    assert client.is_server(FINAL) and not client.is_server(FINAL.replace(b"6", b"7"))
    assert not client.is_server(b"e=invalid-proof") and not Client("user", b"pencil", NONCE).is_server(b"v=")


def test_keys_are_as_postgresql_keeps_them():
    assert make_keys(b"pencil", SALT, 4096).text() == KEPT == parse_keys(KEPT).text()


@pytest.mark.parametrize("text", [
    "", "SCRAM-SHA-256", KEPT[:-1], KEPT.replace("256", "1", 1), KEPT.replace("4096", "4095"),
    KEPT.replace("4096", "x"),
    KEPT.replace("4096", "10000000"), KEPT.replace("W22Z", "W22*"), KEPT + "$", KEPT.replace("gQ==", "gR=="),
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d:wfPL", KEPT.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "")])
def test_what_are_no_keys_is_told_without_them(text):
    with pytest.raises(ValueError, match=r"^not keys of SCRAM-SHA-256$"):
        parse_keys(text)


def test_keys_for_a_stranger_are_the_same_each_time_and_fit_nothing():
    one, again = fake_keys(b"x" * 32, "bob"), fake_keys(b"x" * 32, "bob")
    assert one.text() == again.text() and parse_keys(one.text()).iterations == scram.ITERATIONS
    assert len(one.salt) == scram.SALT and one.salt != fake_keys(b"x" * 32, "eve").salt != fake_keys(b"y", "eve").salt
    client = Client("bob", b"pencil", NONCE)
    there = Server(parse_client_first(client.first), one, MORE)
    assert there.finish(client.answer(there.challenge)) is None


# ------------------------------------------------------------------ both sides

@given(st.text(min_size=1, max_size=20), st.binary(min_size=1, max_size=30), st.booleans(), st.booleans())
def test_whoever_has_the_password_gets_in_and_knows_the_server(name, password, bound, right):
    try:
        prepared = saslprep(name)
    except ValueError:
        return                          # nobody can be called so
    client = Client(name, password, b"abc", binding=("tls-exporter", b"\x01" * 32) if bound else None)
    first = parse_client_first(client.first)
    assert (first.name, first.binding, first.authorization) == (prepared, "tls-exporter" if bound else "n", "")
    keys = make_keys(password if right else password + b"!", b"salt" * 4, 4096)
    there = Server(first, keys, b"def", plus=bound, bindings=BINDINGS)
    said = there.finish(client.answer(there.challenge))
    assert (said is not None) is right
    assert said is None or client.is_server(said)


def test_who_wants_to_be_another_says_so():
    first = parse_client_first(Client("a=b,c", b"x", b"n", authorization="root,=").first)
    assert (first.name, first.authorization, first.header) == ("a=b,c", "root,=", b"n,a=root=2C=3D,")


def test_a_binding_to_another_connection_lets_nobody_in():
    client = Client("user", b"pencil", NONCE, binding=("tls-exporter", b"\x02" * 32))
    there = server(client.first, plus=True, bindings=BINDINGS)
    assert there.finish(client.answer(there.challenge)) is None


@pytest.mark.parametrize("first, plus, bindings, said", [
    (b"n,,n=user,r=x", True, BINDINGS, "a binding goes with"),
    (b"y,,n=user,r=x", True, BINDINGS, "a binding goes with"),
    (b"p=tls-exporter,,n=user,r=x", False, BINDINGS, "a binding goes with"),
    (b"p=tls-unique,,n=user,r=x", True, BINDINGS, "a kind of channel binding"),
    (b"p=tls-exporter,,n=user,r=x", True, None, "a kind of channel binding"),
    (b"y,,n=user,r=x", False, BINDINGS, "somebody took SCRAM-SHA-256-PLUS from the list")])
def test_bindings_are_held_to(first, plus, bindings, said):
    with pytest.raises(Improper, match=said):
        server(first, plus=plus, bindings=bindings)


def test_a_client_that_knows_of_no_binding_is_served_where_there_is_none():
    client = Client("user", b"pencil", NONCE)
    client.first = client.first.replace(b"n,", b"y,", 1)
    assert server(client.first).challenge == CHALLENGE


# ------------------------------------------------------------------ what is no message

@pytest.mark.parametrize("first", [
    b"", b"n", b"n,,", b"n,,n=user", b"n,,r=abc,n=user", b"x,,n=user,r=abc", b"N,,n=user,r=abc", b"n,user,n=user,r=abc",
    b"n,,m=x,n=user,r=abc", b"n,,n=user,r=", b"n,,n=,r=abc", b"n,,n=us=er,r=abc", b"n,,n=us=2cer,r=abc",
    b"n,,n=\xff,r=abc", b"n,,n=user,r=a\x7fc", b"n,,n=user,r=a c", b"n,,n=user,r=a\xc3\xa9", b"p=,,n=user,r=abc",
    b"p=tls unique,,n=user,r=abc", b"n,a=,n=user,r=abc", b"n,,n=us\x00er,r=abc", b"n,,n=user,r=" + b"x" * 5000])
def test_a_first_message_that_is_none(first):
    with pytest.raises(Improper):
        parse_client_first(first)


def test_extensions_that_are_not_mandatory_are_taken():
    first = parse_client_first(b"n,,n=user,r=abc,x=whatever")
    assert first.bare == b"n=user,r=abc,x=whatever"


@pytest.mark.parametrize("last", [
    b"", LAST.partition(b",p=")[0], LAST + b",x=y", LAST[:-4], LAST.replace(b"c=", b"d="),
    LAST.replace(b"biws", b"b*ws"), LAST.replace(b",p=", b",m=x,p="),
    LAST.replace(b"VQ=", b"VR="), b"p=" + LAST.rpartition(b"=")[2],
    b"c=biws,p=" + LAST.rpartition(b"p=")[2], LAST + b"A" * 5000])
def test_a_last_message_that_is_none(last):
    with pytest.raises(Improper):
        server().finish(last)


@pytest.mark.parametrize("last", [
    LAST.replace(b"k0,", b"k1,"), LAST.replace(b"biws", b"eSws"), LAST.replace(b"p=d", b"p=e"),
    LAST.replace(b",p=", b",x=y,p=")])
def test_a_last_message_that_is_wrong(last):
    assert server().finish(last) is None


@pytest.mark.parametrize("challenge", [
    b"", CHALLENGE.replace(b"rOpr", b"sOpr"), CHALLENGE.replace(MORE, b""), CHALLENGE.replace(b"i=4096", b"i=4095"),
    CHALLENGE.replace(b"i=4096", b"i=99999999"), CHALLENGE.replace(b"i=4096", b"i=4_096"), CHALLENGE[:-7],
    CHALLENGE.replace(b"s=W", b"s=*"), b"m=x," + CHALLENGE, b"e=other-error", CHALLENGE.replace(MORE, b"%\x00")])
def test_a_challenge_that_is_none(challenge):
    with pytest.raises(Improper):
        Client("user", b"pencil", NONCE).answer(challenge)


@given(st.binary(max_size=80))
def test_whatever_comes_is_read_or_improper(data):
    for read in (parse_client_first, server().finish, Client("user", b"pencil", NONCE).answer):
        for octets in (data, b"n,,n=" + data + b",r=" + data, b"c=biws,r=" + data + b",p=" + data, b"r=" + data):
            try:
                read(octets)
            except Improper as error:
                assert str(error)


# ------------------------------------------------------------------ SASLprep

@pytest.mark.parametrize("text, prepared", [            # RFC 4013, section 3, and more
    ("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"),
    ("a\u00a0b", "a b"), ("a\u3000b", "a b"), ("Jose\u0301", "Jos\u00e9"), ("\u0627\u0031\u0628", "\u0627\u0031\u0628"),
    ("\U0001f600", "\U0001f600"), ("a b", "a b")])
def test_prepared(text, prepared):
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", [
    "", "\u00ad", "\u0007", "\u0627\u0031", "\u0627a\u0628", "a\x7f", "\u200e", "\ue000", "\ufdd0", "\ud800", "\u2ff0",
    "\u00e9\x00", "\U000e0041"])
def test_not_to_be_prepared(text):
    with pytest.raises(ValueError) as error:
        saslprep(text)
    assert not text or text not in str(error.value)


def test_passwords_that_cannot_be_prepared_work_as_they_are():
    for password in (b"\xff\xfe", "\u0627\u0031".encode(), "\u200e".encode()):
        client = Client("user", password, NONCE)
        there = Server(parse_client_first(client.first), make_keys(password, SALT, 4096), MORE)
        assert there.finish(client.answer(there.challenge))


def test_spellings_of_a_password_are_one():
    one, other = "p\u00e4ss\u00a0x".encode(), "pa\u0308ss x".encode()
    assert make_keys(one, SALT, 4096).text() == make_keys(other, SALT, 4096).text()
