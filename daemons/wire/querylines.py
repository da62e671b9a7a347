"""Queries that are methods: lines of a file into names, parameters and SQL.

    database: /var/lib/shop/shop.db

    # The orders of a customer, newest first.
    orders.of(customer: str, most: int): SELECT id, placed, total FROM orders
        WHERE customer = :customer ORDER BY placed DESC LIMIT :most

A query goes on in lines that begin with a blank.  The comment above it is what people are told about it.  Each
parameter has a type (int, str, float, bool, bytes) or none, and stands in the SQL behind a colon.
"""

TYPES = {"int": int, "str": str, "float": float, "bool": bool, "bytes": bytes}
DATABASE = "database"


class Query:
    """One query: its `name`, `parameters` (name -> type, None for any), `sql`, `help`, and the `line` it begins at."""

    __slots__ = ("help", "line", "name", "parameters", "sql")

    def __init__(self, name: str, parameters: dict[str, type | None], sql: str, help: str, line: int) -> None:
        self.name, self.parameters, self.sql, self.help, self.line = name, parameters, sql, help, line


def parse(text: str) -> tuple[str, list[Query]]:
    """The path of the database, and the queries.  Raises ValueError with the number of a line."""
    database, queries, comment = "", list[Query](), list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("#"):
            comment.append(line[1:].strip())
        elif not line.strip():
            comment = []
        elif line[0] in " \t":
            if not queries or comment:
                raise ValueError(f"line {number}: a line that goes on, and nothing before it")
            queries[-1].sql += "\n" + line.strip()
        elif line.partition(":")[0].strip() == DATABASE:
            if database:
                raise ValueError(f"line {number}: the database was named before")
            database = line.partition(":")[2].strip()
            if not database.startswith("/"):
                raise ValueError(f"line {number}: the database is an absolute path, not {database!r}")
        else:
            queries.append(_query(line, "\n".join(comment), number))
            comment = []
    if not database:
        raise ValueError("no line says database: PATH")
    for query in queries:
        if not query.sql:
            raise ValueError(f"line {query.line}: {query.name} has no SQL")
    return database, queries


def _query(line: str, help: str, number: int) -> Query:
    name, bracket, rest = line.partition("(")
    inside, closing, sql = rest.partition("):")
    if bracket and ":" not in name:
        if not closing:
            raise ValueError(f"line {number}: the parameters end with ): before the SQL")
        return Query(name.strip(), _parameters(inside, number), sql.strip(), help, number)
    name, colon, sql = line.partition(":")
    if not colon:
        raise ValueError(f"line {number}: not a line of the form NAME(PARAMETER, ...): SQL")
    return Query(name.strip(), {}, sql.strip(), help, number)


def _parameters(text: str, number: int) -> dict[str, type | None]:
    found: dict[str, type | None] = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        name, colon, kind = (part.strip() for part in one.partition(":"))
        if not (name.isascii() and name.isidentifier()) or name in found or name == "caller":
            raise ValueError(f"line {number}: not the name of another parameter: {name!r}")
        if colon and kind not in TYPES:
            raise ValueError(f"line {number}: {kind!r} is none of the types {', '.join(TYPES)}")
        found[name] = TYPES[kind] if colon else None
    return found
