"""What counts as a number, and what only looks like one to int()."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.numbers import number, octal


@pytest.mark.parametrize("text", ["", " 5", "5 ", "+5", "-5", "1_0", "٣", "²", "0x10", "1.0", "5\n", "9" * 21,
                                  b"", b" 5", b"1_0", b"\xb2", b"5\0"])
def test_what_protocols_do_not_call_a_number(text):
    with pytest.raises(ValueError, match="not a whole number"):
        number(text)


@given(st.integers(0, 2**63 - 1))
def test_every_number_is_read_from_text_and_from_octets(value):
    assert number(str(value)) == number(b"%d" % value) == number(f"0{value}") == value


def test_limits_are_part_of_the_question_and_of_the_answer():
    assert number("1", 1, 65535) == 1 and number("65535", 1, 65535) == 65535
    assert number("00000000000000000001") == 1
    with pytest.raises(ValueError, match="must be 9223372036854775807 or less"):
        number("9223372036854775808")
    with pytest.raises(ValueError, match="must be 1 or more, not 0"):
        number("0", 1, 65535)
    with pytest.raises(ValueError, match="must be 65535 or less, not 65536"):
        number("65536", 1, 65535)


def test_a_minus_sign_is_for_those_who_expect_it():
    assert number("-20", -20, 19) == -20
    for text in ("-", "--1", "- 1", "-1_0"):
        with pytest.raises(ValueError, match="not a whole number"):
            number(text, -20, 19)


@given(st.one_of(st.text(), st.binary()))
def test_anything_is_a_number_or_a_value_error(text):
    try:
        assert str(number(text)).strip("0123456789") == ""
    except ValueError:
        pass


def test_octal():
    assert octal("022") == octal(b"22") == 0o22 and octal("777") == 0o777
    for text in ("", "8", "0o22", "-2", "1_0", "1000"):
        with pytest.raises(ValueError, match="octal"):
            octal(text)
