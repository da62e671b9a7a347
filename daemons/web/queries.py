"""Methods that are queries of a database, out of a file of them (wire/querylines.py); each gives its rows."""

from datetime import datetime

from daemons.stores import readonlysql
from daemons.wire import querylines
from daemons.wire.faults import APPLICATION_ERROR, Fault
from daemons.wire.xmlrpcvalues import written_date

from .methods import Limits, Method
from .signatures import Kind, Parameter, Signature, kind_of


class Bounds(Limits):
    """What a query may take: seconds, and rows."""

    __slots__ = ("rows",)

    def __init__(self, seconds=5.0, rows=1000):
        super().__init__(seconds, readonlysql.MOST)
        self.rows = rows


def queries(path, bounds=None):
    """The path of the database, and the methods of a file.  Raises OSError, and ValueError with a line's number."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        database, found = querylines.parse(text)
        return database, [_method(database, query, bounds or Bounds()) for query in found]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _method(database, query, bounds):
    missing = [name for name in query.parameters if f":{name}" not in query.sql]
    try:
        if missing:
            raise ValueError(f"the SQL does not use :{missing[0]}")
        readonlysql.check(database, query.sql, list(query.parameters))
        parameters = [Parameter(name, kind_of(kind) if kind else Kind({})) for name, kind in query.parameters.items()]
        return Method(query.name, _Query(database, query, bounds), help=query.help, limits=bounds,
                      signature=Signature(parameters, kind_of(list[dict])))
    except ValueError as error:
        raise ValueError(f"line {query.line}: {query.name}: {error}") from None


class _Query:
    """A query, to be called as a function."""

    def __init__(self, database, query, bounds):
        self.database, self.query, self.bounds = database, query, bounds

    def __call__(self, *values, **named):
        """Its rows.  Raises Fault."""
        given = {**dict(zip(self.query.parameters, values)), **named}
        given = {name: written_date(value, "-") if isinstance(value, datetime) else value
                 for name, value in given.items()}
        try:
            return readonlysql.rows(self.database, self.query.sql, given, self.bounds.seconds, self.bounds.rows)
        except readonlysql.NotAnswered as error:
            raise Fault(APPLICATION_ERROR, f"{self.query.name}: {error}") from None
