"""Queries out of lines."""

import pytest

from daemons.wire.querylines import parse

TEXT = """# what this is about

database: /var/lib/shop/shop.db

# The orders of a customer,
# newest first.
orders.of(customer: str, most:int , any): SELECT id FROM orders
    WHERE customer = :customer   -- theirs

\tLIMIT :most
count: SELECT count(*) AS n FROM orders WHERE name = 'a(b): c'
empty():
  SELECT 1 AS one
"""


def test_queries():
    database, queries = parse(TEXT)
    assert database == "/var/lib/shop/shop.db"
    assert [(one.name, one.parameters, one.help, one.line) for one in queries] == [
        ("orders.of", {"customer": str, "most": int, "any": None}, "The orders of a customer,\nnewest first.", 7),
        ("count", {}, "", 11), ("empty", {}, "", 12)]
    assert queries[0].sql == "SELECT id FROM orders\nWHERE customer = :customer   -- theirs\nLIMIT :most"
    assert queries[1].sql == "SELECT count(*) AS n FROM orders WHERE name = 'a(b): c'"
    assert queries[2].sql == "\nSELECT 1 AS one"


@pytest.mark.parametrize("text, why", [
    ("", "no line says database"), ("a: SELECT 1", "no line says"), ("database: shop.db", "absolute path"),
    ("database: /a\ndatabase: /b", "line 2.*before"), ("database: /a\n  SELECT 1", "line 2.*nothing before"),
    ("database: /a\na: SELECT 1\n# b\n  FROM c", "line 4.*nothing before"), ("database: /a\na:\n", "line 2.*no SQL"),
    ("database: /a\na SELECT 1", "line 2.*not a line of the form"), ("database: /a\na(b: SELECT 1", "line 2.*end with"),
    ("database: /a\na(b c): SELECT 1", "line 2.*not the name"), ("database: /a\na(b, b): SELECT 1", "line 2.*another"),
    ("database: /a\na(caller): SELECT 1", "line 2.*not the name"),
    ("database: /a\na(b: date): SELECT 1", "'date' is none"),
    ("database: /a\na(\u0435): SELECT 1", "not the name")])
def test_what_is_none(text, why):
    with pytest.raises(ValueError, match=why):
        parse(text)
