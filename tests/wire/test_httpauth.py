"""HTTP's logins: the examples of RFC 7617 and RFC 7616, what is not well-formed, and requests that come twice."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.httpauth import (
    ELSEWHERE,
    FAILED,
    LIFETIME,
    LONGEST,
    PASSED,
    STALE,
    WINDOW,
    NonceUses,
    basic,
    challenge_basic,
    challenge_digest,
    digest_response,
    digest_secret,
    digest_verdict,
    make_nonce,
    nonce_made,
    normal,
    parse_digest,
)

KEY, NOW = b"k" * 32, 1_700_000_000.25
REALM = "http-auth@example.org"
ANSWERS = {"SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
           "MD5": "8ca523f5e9506fed4657c9700eebdbec"}
# RFC 7616, 3.9.1
EXAMPLE = """Digest username="Mufasa",
       realm="http-auth@example.org",
       uri="/dir/index.html",
       algorithm={algorithm},
       nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
       nc=00000001,
       cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
       qop=auth,
       response="{response}",
       opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"""".replace("\n", "")


def sent(user_pass, scheme="Basic"):
    return f"{scheme} {b64encode(user_pass).decode()}"


# ------------------------------------------------------------------ Basic

@pytest.mark.parametrize("value, found", [
    ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ("Aladdin", b"open sesame")),        # RFC 7617, 2
    ("Basic dGVzdDoxMjPCow==", ("test", "123£".encode())),                      # RFC 7617, 2.1
    ("bASIC  dGVzdDoxMjPCow== ", ("test", "123£".encode())),
    (sent(b"a:b:c"), ("a", b"b:c")),
    (sent(b":"), ("", b"")),
    (sent("Jose\u0301:x".encode()), ("Jos\u00e9", b"x")),
    (sent(b"a:\xff"), ("a", b"\xff")),
])
def test_basic(value, found):
    assert basic(value) == found


@pytest.mark.parametrize("value", [
    "", "Basic", "Basic ", "Basic=QTpi", "QTpi", "Digest QTpi", "Bas\u0131c QTpi", "Basic\tQTpi",
    "Basic QTpi=", "Basic QTpiYw", "Basic QTpiYw=", "Basic QTpiYx==", "Basic QTpiYw==QQ==", "Basic Q Tpi",
    "Basic Q\nTpi", "Basic QTp-", "Basic \u0661TpiYw==", "Basic QTpi, Basic QTpi", "Basic " + "QTpi" * LONGEST,
    sent(b"nobody"), sent(b"\xff:x"), sent(b"a\0:x"), sent(b"a\n:x"), sent(b"a\x7f:x"), sent("a\u0085:x".encode()),
    sent(b"a:x\0"), sent(b"a:x\r\n"), sent(b"a:\x7f"), sent(b"\xed\xa0\x80:x"),
])
def test_what_is_not_basic(value):
    assert basic(value) is None


def test_the_challenge_of_basic():
    assert challenge_basic("WallyWorld") == 'Basic realm="WallyWorld", charset="UTF-8"'
    assert challenge_basic('a "b" \\ c') == 'Basic realm="a \\"b\\" \\\\ c", charset="UTF-8"'


@pytest.mark.parametrize("realm", ["", "a\nb", "a\0", "B\u00fcro"])
def test_what_is_no_realm(realm):
    for challenge in (challenge_basic, lambda realm: challenge_digest(realm, "00")):
        with pytest.raises(ValueError, match="not a realm"):
            challenge(realm)


# ------------------------------------------------------------------ Digest: what is said

@pytest.mark.parametrize("algorithm", ANSWERS)
def test_the_examples_of_rfc_7616(algorithm):
    found = parse_digest(EXAMPLE.format(algorithm=algorithm, response=ANSWERS[algorithm]))
    assert found == {
        "username": "Mufasa", "realm": REALM, "uri": "/dir/index.html", "algorithm": algorithm, "nc": "00000001",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "qop": "auth", "response": ANSWERS[algorithm],
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"}
    secret = digest_secret("Mufasa", REALM, b"Circle of Life", algorithm)
    assert digest_response(secret, "GET", found) == ANSWERS[algorithm]
    assert digest_response(secret, "POST", found) != ANSWERS[algorithm]


def test_without_an_algorithm_it_is_md5():
    value = EXAMPLE.format(algorithm="X", response=ANSWERS["MD5"]).replace("algorithm=X,", "")
    assert parse_digest(value)["algorithm"] == "MD5"


def test_the_challenge_of_digest():
    assert challenge_digest("a", "00") == 'Digest realm="a", qop="auth", algorithm=SHA-256, nonce="00", charset=UTF-8'
    assert challenge_digest("a", "00", "MD5", stale=True) == \
        'Digest realm="a", qop="auth", algorithm=MD5, nonce="00", charset=UTF-8, stale=true'


PLAIN = EXAMPLE.format(algorithm="MD5", response=ANSWERS["MD5"])


@pytest.mark.parametrize("before, after", [
    ("Digest ", "DIGEST    "), ("qop=auth", 'qop="auth"'), ("algorithm=MD5", 'algorithm="md5"'),
    ("nc=00000001", 'nc="00000001"'), (", ", ","), (",", " ,\t"), (",", ",, ,"), ("=", " = "), ("uri=", "URI="),
    ("opaque=", "userhash=false, opaque="), ('"Mufasa"', '"Mu\\fasa"'), ('"Mufasa"', "Mufasa"),
    ('username="Mufasa"', "username*=UTF-8''Mufasa"), ('username="Mufasa"', "username*=utf-8'en'Mu%66asa"),
    ('username="Mufasa"', 'x="", username="Mufasa"')])
def test_other_spellings(before, after):
    assert before in PLAIN
    assert parse_digest(PLAIN.replace(before, after)) == parse_digest(PLAIN)


@pytest.mark.parametrize("before, after", [
    ("Digest ", "Basic "), ("Digest ", "Digest"), ("qop=auth", "qop=auth-int"), ("qop=auth,", ""),
    ("nc=00000001", "nc=1"), ("nc=00000001", "nc=00000000"), ("nc=00000001", "nc=0000000g"),
    ("nc=00000001", "nc=+0000001"), ("nc=00000001,", ""),
    ("algorithm=MD5", "algorithm=SHA-256"), ("algorithm=MD5", "algorithm=MD5-sess"),
    ("algorithm=MD5", "algorithm=SHA-512-256"), ('response="8', 'response="'), ('response="8', 'response="A'),
    ('response="8', 'response="88'), ('"/dir', '/dir'), ('dS"', "dS"), ('dS"', 'dS\\"'), ('dS"', 'dS\\'),
    ('dS"', 'dS"x'), ('dS"', 'dS", uri="/x"'), ('dS"', 'dS", URI="/x"'), ('dS"', 'dS", ="x"'), ('dS"', 'dS", x'),
    ('dS"', 'dS", x='), ('dS"', 'dS", a b=c'), ('dS"', 'dS" opaque="x"'), ('dS"', 'dS", x="\u0100"'),
    ('dS"', 'dS", x="\0"'), ('dS"', 'dS", userhash=true'), ('dS"', 'dS", username*=UTF-8\'\'x'),
    ('username="Mufasa"', "username*=Mufasa"), ('username="Mufasa"', "username*=ISO-8859-1''Mufasa"),
    ('username="Mufasa"', "username*=UTF-8''%4"), ('username="Mufasa"', "username*=UTF-8''%+4"),
    ('username="Mufasa"', "username*=UTF-8''%ff"),
    ('username="Mufasa"', "username*=UTF-8''a%00"), ('username="Mufasa"', "username*=\"UTF-8''\xe9\""),
    ('"Mufasa"', '"\xff"'), ('"Mufasa"', '"a\x85"'), ('"Mufasa"', '"a\n"'), ('username="Mufasa",', ""),
    ('dS"', 'dS", x="' + "x" * LONGEST + '"')])
def test_what_is_improper(before, after):
    assert before in PLAIN
    assert parse_digest(PLAIN.replace(before, after)) is None


@pytest.mark.parametrize("word", ['"J\xc3\xa4s\xc3\xb8n Doe"', '"Ja\xcc\x88s\xc3\xb8n Doe"',
                                  "UTF-8''J%C3%A4s%C3%B8n%20Doe"])
def test_names_in_other_scripts(word):
    name = "username*" if word.startswith("UTF") else "username"
    value = PLAIN.replace('username="Mufasa"', f"{name}={word}")
    assert parse_digest(value)["username"] == "J\u00e4s\u00f8n Doe"


# ------------------------------------------------------------------ Digest: whether it is true

def made(key=KEY, now=NOW, salt=b"12345678"):
    return make_nonce(key, now, salt)


def credentials(nonce, count=1, password=b"Circle of Life", algorithm="SHA-256", method="GET", uri="/a", name="Mufasa"):
    """What a client sends that was given this nonce."""
    said = {"username": name, "realm": REALM, "uri": uri, "algorithm": algorithm, "nonce": nonce, "nc": f"{count:08x}",
            "cnonce": "c", "qop": "auth"}
    said["response"] = digest_response(digest_secret(name, REALM, password, algorithm), method, said)
    return parse_digest("Digest " + ", ".join(f'{name}="{value}"' for name, value in said.items()))


def verdict(said, now=NOW, uses=None, method="GET", target="/a", realm=REALM, known=True):
    secret = digest_secret("Mufasa", REALM, b"Circle of Life", said["algorithm"]) if known else None
    return digest_verdict(said, method, target, realm, secret, KEY, now, uses)


def test_a_nonce_tells_its_age_to_those_who_have_the_key():
    assert nonce_made(KEY, made()) == NOW
    assert made(salt=b"a") != made(salt=b"b") != made(salt=b"")
    assert nonce_made(b"other", made()) is None
    for at in range(len(made())):
        flipped = f"{int(made()[at], 16) ^ 1:x}"
        assert nonce_made(KEY, made()[:at] + flipped + made()[at + 1:]) is None


@pytest.mark.parametrize("nonce", ["", "00", made()[:-1], made() + "0", made().replace("0", "g"),
                                   made()[:-1] + "\u0661"])
def test_what_is_no_nonce_of_ours(nonce):
    assert nonce_made(KEY, nonce) is None


@pytest.mark.parametrize("algorithm", ANSWERS)
def test_a_right_answer_passes_and_others_do_not(algorithm):
    assert verdict(credentials(made(), algorithm=algorithm)) == PASSED
    assert verdict(credentials(made(), algorithm=algorithm, password=b"x")) == FAILED
    assert verdict(credentials(made(), algorithm=algorithm, method="HEAD")) == FAILED
    assert verdict(credentials(made(), algorithm=algorithm), realm="another") == FAILED
    assert verdict(credentials(made(), algorithm=algorithm), known=False) == FAILED
    assert verdict(credentials(made(), algorithm=algorithm, uri="/b")) == ELSEWHERE


def test_nobody_can_answer_for_a_name_that_is_not_there():
    said = dict(credentials(made()))
    said["response"] = digest_response("0" * 64, "GET", said)
    assert verdict(said, known=False) == FAILED


@pytest.mark.parametrize("age, found", [(0, PASSED), (LIFETIME, PASSED), (LIFETIME + 1, STALE), (-4, PASSED),
                                        (-6, STALE)])
def test_a_nonce_has_its_time(age, found):
    assert verdict(credentials(made()), now=NOW + age) == found
    assert verdict(credentials(made(), password=b"x"), now=NOW + age) == FAILED, "stale says that the password is right"


def test_a_nonce_of_a_process_before_is_stale():
    assert verdict(credentials(made(b"old"))) == verdict(credentials("anything")) == STALE


def test_a_request_that_comes_twice_is_stale():
    uses = NonceUses()
    assert [verdict(credentials(made(), count), uses=uses) for count in (1, 2, 2, 1, 3)] == \
        [PASSED, PASSED, STALE, STALE, PASSED]
    assert verdict(credentials(made(), 9, password=b"x"), uses=uses) == FAILED
    assert verdict(credentials(made(), 9), uses=uses) == PASSED, "a wrong answer uses nothing up"


def test_requests_may_overtake_one_another_a_little():
    uses = NonceUses()
    order = [3, 1, 2, WINDOW + 6, 8, 7, 6, 0xffffffff, WINDOW + 7]
    assert [uses.first("n", 1.0, count) for count in order] == [True] * 6 + [False, True, False]


def test_what_is_remembered_is_bounded_and_nothing_that_was_dropped_passes_again():
    uses = NonceUses(most=3)
    for number in range(10):
        assert uses.first(f"n{number}", float(number), 1)
        assert len(uses._seen) <= 3
    assert not any(uses.first(f"n{number}", float(number), 1) for number in range(10))
    assert not uses.first("unheard of", 6.0, 1) and uses.first("n8", 8.0, 2) and uses.first("later", 7.5, 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 100))), st.integers(1, 4))
def test_no_count_of_a_nonce_is_first_twice(asked, most):
    uses = NonceUses(most)
    passed = [(nonce, count) for nonce, count in asked if uses.first(str(nonce), float(nonce), count)]
    assert len(passed) == len(set(passed))


# ------------------------------------------------------------------ whatever comes

WORDS = st.sampled_from(["Digest ", "Basic ", "username", "username*", "realm", "nonce", "uri", "qop", "nc", "response",
                         "cnonce", "algorithm", "=", '"', "\\", ",", " ", "%", "'", "UTF-8''", "auth", "00000001",
                         "MD5"])


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda data: data.decode("latin-1")),
                 st.lists(st.one_of(WORDS, st.text(max_size=3)), max_size=40).map("".join)))
def test_any_text_ends_in_credentials_or_none(value):
    for text in (value, f"Basic {value}", f"Digest {value}", PLAIN.replace("Mufasa", value)):
        assert basic(text) is None or "\0" not in basic(text)[0]
        found = parse_digest(text)
        if found is not None:
            assert verdict(found) in (ELSEWHERE, FAILED)
    assert nonce_made(KEY, value) is None


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=":"), max_size=20),
       st.binary(max_size=30))
def test_what_is_sent_in_basic_is_understood(name, password):
    found = basic(sent(name.encode() + b":" + password))
    controls = any(octet < 32 or octet == 127 for octet in password)
    assert found == (None if controls else (normal(name), password))
