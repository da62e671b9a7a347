"""SASL as a server holds it: the examples of the RFCs, all that is no message, and proofs that prove nothing."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire import scram
from daemons.wire.saslexchanges import (
    LONGEST,
    MECHANISMS,
    PLUS,
    Cancelled,
    Done,
    NotSasl,
    WrongProof,
    begin,
    decode,
    encode,
    plain,
)

# RFC 7677, 3
SALT, NONCE = b"W22ZaJ0SNY7soEsUEjb6gQ==", b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_NONCE = b"rOprNGfwEbeRWgbNEkqO"
KEYS = scram.make_keys(b"pencil", base64.b64decode(SALT), 4096)
BINDINGS = {"tls-exporter": b"\x01" * 32}


def keys_of(name):
    return KEYS if name == "user" else scram.fake_keys(b"secret", name, 4096)


def start(mechanism="SCRAM-SHA-256", bindings=None):
    return begin(mechanism, keys_of, NONCE, bindings)


def parts(done):
    assert isinstance(done, Done)
    return done.user, done.acts_for, done.password


@pytest.mark.parametrize("line, octets", [(b"", b""), (b"AGEAYg==", b"\0a\0b"), (b"AAAA", b"\0\0\0")])
def test_lines(line, octets):
    assert decode(line) == octets and encode(octets) == line


@pytest.mark.parametrize("line", [b"AGEAYg", b"AGEAYg=", b"AGEAYg===", b"AGEAYg==AAAA", b"=", b"A", b"A G=", b"AG\0=",
                                  b"AG-_", b"**", b"AAAA ", b"A" * (LONGEST + 4), b"AAAA\n"])
def test_what_is_no_base64(line):
    with pytest.raises(NotSasl) as error:
        decode(line)
    assert not isinstance(error.value, Cancelled)


def test_a_client_gives_up():
    """RFC 4954, 4."""
    with pytest.raises(Cancelled):
        decode(b"*")


@pytest.mark.parametrize("message, user, acts_for, password", [
    (b"\0tim\0tanstaaftanstaaf", "tim", "", b"tanstaaftanstaaf"),                   # RFC 4616, 4
    (b"Ursel\0Kurt\0xipj3plmq", "Kurt", "Ursel", b"xipj3plmq"), (b"\0a\0 p\xff ", "a", "", b" p\xff "),
    ("\0jü\0pä".encode(), "jü", "", "pä".encode()), (b"a\0a\0p", "a", "a", b"p"),
])
def test_plain(message, user, acts_for, password):
    exchange = start("PLAIN")
    assert exchange.step(None) == b""
    assert parts(exchange.step(message)) == (user, acts_for, password)
    assert plain(user, password, acts_for) == message


@pytest.mark.parametrize("message", [b"", b"a", b"\0a", b"\0\0p", b"\0a\0", b"\0a\0p\0", b"\0a\0p\0q", b"\0\xff\0p",
                                     b"\xff\0a\0p",
                                     b"\0a\r\nb\0p", b"\0" + b"a" * 256 + b"\0p", b"\0a\0" + b"p" * 1025])
def test_what_is_no_message_of_plain(message):
    with pytest.raises(NotSasl) as error:
        start("PLAIN").step(message)
    assert "p" * 1025 not in str(error.value)


def test_a_nul_cannot_be_said_in_plain():
    for arguments in (("a\0", b"p"), ("a", b"p\0"), ("a", b"p", "\0")):
        with pytest.raises(ValueError, match="NUL"):
            plain(*arguments)


def test_login():
    exchange = start("LOGIN")
    assert [exchange.step(None), exchange.step(b"tim"), parts(exchange.step(b"pass"))] == \
        [b"Username:", b"Password:", ("tim", "", b"pass")]
    short = start("LOGIN")                  # with the name as initial response
    assert (short.step(b"tim"), parts(short.step(b"pass"))) == (b"Password:", ("tim", "", b"pass"))


@pytest.mark.parametrize("said", [(b"",), (b"\xff",), (b"a\0b",), (b"a", b""), (b"a", b"p\0"), (b"a", b"p" * 1025)])
def test_what_login_does_not_take(said):
    exchange = start("LOGIN")
    with pytest.raises(NotSasl):
        for response in said:
            exchange.step(response)


def test_the_example_of_rfc_7677():
    exchange = start()
    assert exchange.step(None) == b""
    assert exchange.step(b"n,,n=user,r=" + CLIENT_NONCE) == \
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert exchange.step(b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                         b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=") == \
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert parts(exchange.step(b"")) == ("user", "", None)


def log_in(exchange, name="user", password=b"pencil", **more):
    client = scram.Client(name, password, CLIENT_NONCE, **more)
    final = exchange.step(client.answer(exchange.step(client.first)))
    assert client.is_server(final)
    return parts(exchange.step(b""))


def test_scram_with_a_client_of_ours():
    assert log_in(start()) == ("user", "", None)
    assert log_in(start(), authorization="a,b=c") == ("user", "a,b=c", None)
    assert log_in(start(PLUS, BINDINGS), binding=("tls-exporter", b"\x01" * 32)) == ("user", "", None)
    assert log_in(start(bindings=BINDINGS)) == ("user", "", None)       # this client cannot bind, and says so


@pytest.mark.parametrize("name, password", [("user", b"pen"), ("nobody", b"pencil"), ("nobody", b"")])
def test_who_does_not_know_the_password(name, password):
    with pytest.raises(WrongProof) as error:
        log_in(start(), name, password)
    assert error.value.user == name


def test_another_binding_than_that_of_this_connection():
    with pytest.raises(WrongProof):
        log_in(start(PLUS, BINDINGS), binding=("tls-exporter", b"\x02" * 32))


@pytest.mark.parametrize("mechanism, bindings, message", [
    (PLUS, BINDINGS, b"n,,n=user,r=x"), (PLUS, BINDINGS, b"y,,n=user,r=x"),
    (PLUS, BINDINGS, b"p=tls-unique,,n=user,r=x"),
    ("SCRAM-SHA-256", None, b"p=tls-exporter,,n=user,r=x"), ("SCRAM-SHA-256", BINDINGS, b"p=tls-exporter,,n=user,r=x"),
    ("SCRAM-SHA-256", BINDINGS, b"y,,n=user,r=x"),          # RFC 5802, 6: somebody hid -PLUS from it
])
def test_bindings_and_mechanisms_go_together(mechanism, bindings, message):
    with pytest.raises(NotSasl):
        start(mechanism, bindings).step(message)


@pytest.mark.parametrize("message", [
    b"", b"n", b"n,,", b"n,,n=user", b"n,,r=x,n=user", b"n,,m=x,n=user,r=x", b"x,,n=user,r=x", b"n,b=x,n=user,r=x",
    b"n,,n=us=er,r=x", b"n,,n=user,r=", b"n,,n=,r=x", b"n,,n=\xff,r=x", b"n,a=,n=user,r=x", b"n,,n=user,r=\x7f",
    b"n,,n=" + b"u" * 5000 + b",r=x",
])
def test_what_is_no_first_message(message):
    with pytest.raises(NotSasl):
        start().step(message)


@pytest.mark.parametrize("message", [b"", b"c=biws", b"c=biws,r=x", b"c=biws,r=x,p=", b"c=biws,r=x,p=AAAA",
                                     b"c=!,r=x,p=AAAA", b"r=x,c=biws,p=" + b"A" * 43 + b"=", b"n,,n=user,r=x"])
def test_what_is_no_last_message(message):
    exchange = start()
    exchange.step(b"n,,n=user,r=" + CLIENT_NONCE)
    with pytest.raises(NotSasl):
        exchange.step(message)


def test_nothing_comes_after_the_end():
    exchange, client = start(), scram.Client("user", b"pencil", CLIENT_NONCE)
    exchange.step(client.answer(exchange.step(client.first)))
    with pytest.raises(NotSasl):
        exchange.step(b"x")


def test_mechanisms():
    assert all(start(name) for name in MECHANISMS) and start(PLUS, BINDINGS)
    assert start("CRAM-MD5") is start(PLUS) is start("") is start(PLUS, {}) is None


responses = st.none() | st.binary(max_size=40) | st.sampled_from(
    [b"", b"\0a\0b", b"n,,n=user,r=x", b"c=biws,r=x" + NONCE + b",p=" + b"A" * 43 + b"=", b"user"])


@given(st.sampled_from(MECHANISMS), st.lists(responses, max_size=5))
def test_any_responses_end_in_words_or_a_refusal(mechanism, said):
    exchange = start(mechanism)
    try:
        for response in said:
            if isinstance(exchange.step(response), Done):
                assert mechanism != "SCRAM-SHA-256"         # nobody here knows the password
                break
    except (NotSasl, WrongProof) as error:
        assert str(error)


@given(st.binary())
def test_any_octets_go_through_a_line(octets):
    assert decode(encode(octets)) == octets


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40),
       st.binary(min_size=1, max_size=40))
def test_what_plain_says_is_heard(user, password):
    if b"\0" not in password:
        assert parts(start("PLAIN").step(plain(user, password))) == (user, "", password)
