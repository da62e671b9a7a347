"""SASLprep: names and passwords as SASL compares them (RFC 4013, a profile of RFC 3454).

What Unicode did not know in its version 3.2 is taken as it is, as in a query (RFC 3454, section 7): a password with a
newer sign in it works, as long as it is typed the same way again.
"""


def saslprep(text: str) -> str:
    """The prepared text; raises ValueError, without the text in it, for what may not be in one or where none is left.

    Blanks of other scripts become a space, signs that show nothing go, the rest is put into Normalization Form KC.
    """
    prepared = text if text.isascii() else _mapped(text)
    if not prepared:
        raise ValueError("an empty text")
    if prepared.isascii():
        if not prepared.isprintable():
            raise ValueError("control characters")
        return prepared
    if any(_is_prohibited(sign) for sign in prepared):
        raise ValueError("characters that SASLprep does not allow (RFC 4013, 2.3)")
    _check_directions(prepared)
    return prepared


def _mapped(text: str) -> str:
    """Mapping and normalization (RFC 4013, 2.1 and 2.2), with the tables of Unicode 3.2."""
    from stringprep import in_table_b1, in_table_c12
    from unicodedata import ucd_3_2_0
    spaced = "".join(" " if in_table_c12(sign) else sign for sign in text if not in_table_b1(sign))
    return ucd_3_2_0.normalize("NFKC", spaced)


def _is_prohibited(sign: str) -> bool:
    import stringprep as tables
    return tables.in_table_c12(sign) or tables.in_table_c21_c22(sign) or tables.in_table_c3(sign) \
        or tables.in_table_c4(sign) or tables.in_table_c5(sign) or tables.in_table_c6(sign) \
        or tables.in_table_c7(sign) or tables.in_table_c8(sign) or tables.in_table_c9(sign)


def _check_directions(text: str) -> None:
    """Text that runs to the left begins and ends so, and has nothing in it that runs to the right (RFC 3454, 6)."""
    from stringprep import in_table_d1, in_table_d2
    if any(in_table_d1(sign) for sign in text) and (
            any(in_table_d2(sign) for sign in text) or not (in_table_d1(text[0]) and in_table_d1(text[-1]))):
        raise ValueError("characters of both directions, mixed")
