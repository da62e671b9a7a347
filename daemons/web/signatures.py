"""What a method takes and gives, out of its annotations: checked before it is called, and told to who asks.

    int, str, float, bool, list, dict, bytes, datetime, None        as such
    list[int], dict[str, int]                                       and what is within
    X | None, Optional[X], X | Y                                    any of these
    whatever else, and what has no annotation                       anything at all

A caller's whole number will do for a float; everything else must be what is said, and True is no number.  Where a call
came in JSON, which has neither, text is taken for dates and, in base64, for octets.
"""

from daemons.wire.faults import INVALID_PARAMS, Fault

MOST = 16                       # signatures that are told of one method: alternatives multiply
# Python's type -> XML-RPC's word for it, and ours
WORDS = {int: ("int", "a whole number"), str: ("string", "text"), float: ("double", "a number"),
         bool: ("boolean", "true or false"), list: ("array", "a list"), dict: ("struct", "a struct"),
         bytes: ("base64", "octets"), type(None): ("nil", "nothing")}
ANYTHING = ("any", "anything")
UNION = type(int | None)
VARIABLE = 4            # CO_VARARGS: the function has *parameters


class Kind:
    """What one value may be: any of some types, of which list and dict may have a Kind of what is in them."""

    __slots__ = ("within", "words")

    def __init__(self, words, within=None):
        self.words = words              # type -> (XML-RPC's word, ours); none is anything
        self.within = within or {}      # list or dict -> Kind

    def names(self):
        """XML-RPC's words for what it may be."""
        return [word for word, _ in self.words.values()] or [ANYTHING[0]]

    def __str__(self):
        return " or ".join(said for _, said in self.words.values()) or ANYTHING[1]

    def taken(self, value, spelt):
        """The value as a method gets it.  Raises ValueError with the end of a sentence where it is none of these."""
        if not self.words:
            return value
        kind = type(value)
        if kind in self.words:
            inner = self.within.get(kind)
            if inner is None:
                return value
            if kind is list:
                return [inner.taken(one, spelt) for one in value]
            return {name: inner.taken(one, spelt) for name, one in value.items()}
        if kind is int and float in self.words:
            return _float(value)
        if kind is str and spelt and str not in self.words:
            return self._read(value)
        raise ValueError(f"must be {self}")

    def _read(self, text):
        from daemons.wire.xmlrpcvalues import scalar
        for kind, (word, _) in self.words.items():
            if kind is bytes or word == "dateTime.iso8601":
                try:
                    return scalar(word, text)
                except Fault:
                    continue            # it may be the other of the two
        raise ValueError(f"must be {self}")


def _float(value):
    try:
        return float(value)
    except OverflowError:
        raise ValueError("is too large") from None


class Parameter:
    """One parameter: its name and Kind, and whether it may be left out."""

    __slots__ = ("kind", "may_lack", "name")

    def __init__(self, name, kind, may_lack=False):
        self.name, self.kind, self.may_lack = name, kind, may_lack


class Signature:
    """The parameters of a method and the Kind of what it gives.

    `rest` is the Kind of any number of further parameters, None where there may be none.  `wants_caller` says that it
    has a parameter of the name `caller`, which is no caller's to give; `in_order`, that it does not go by names.
    """

    __slots__ = ("gives", "in_order", "least", "parameters", "rest", "wants_caller")

    def __init__(self, parameters, gives=None, rest=None, wants_caller=False, in_order=False):
        self.parameters, self.gives, self.rest = parameters, gives or Kind({}), rest
        self.wants_caller, self.in_order = wants_caller, in_order
        self.least = len([one for one in parameters if not one.may_lack])

    def arguments(self, params, spelt=False):
        """The arguments, in a list and by name, for `params`, a list or a dict.  Raises Fault with INVALID_PARAMS."""
        if isinstance(params, dict):
            return self._by_name(params, spelt)
        if len(params) < self.least or (len(params) > len(self.parameters) and self.rest is None):
            raise Fault(INVALID_PARAMS, f"takes {self._count()}, not {len(params)}")
        taken = []
        try:
            for one, value in zip(self.parameters, params):
                taken.append(one.kind.taken(value, spelt))
        except ValueError as error:
            raise Fault(INVALID_PARAMS, f"parameter {one.name} {error}") from None
        if self.rest is None:
            return taken, {}
        taken += [_taken(f"number {place}", self.rest, value, spelt)
                  for place, value in enumerate(params[len(self.parameters):], len(self.parameters) + 1)]
        return taken, {}

    def _by_name(self, params, spelt):
        if self.in_order and params:
            raise Fault(INVALID_PARAMS, "takes its parameters in a list, not by name")
        known = {one.name: one for one in self.parameters}
        for name in params:
            if name not in known:
                raise Fault(INVALID_PARAMS, f"has no parameter {name[:40]!a}")
        for one in self.parameters:
            if not one.may_lack and one.name not in params:
                raise Fault(INVALID_PARAMS, f"needs the parameter {one.name}")
        return [], {name: _taken(name, known[name].kind, value, spelt) for name, value in params.items()}

    def _count(self):
        most = len(self.parameters)
        if self.rest is not None:
            return f"{self.least} or more parameters"
        least = f"{self.least} to " if self.least < most else ""
        return f"{least}{most or 'no'} parameter{'' if most == 1 else 's'}"

    def told(self):
        """As system.methodSignature tells it: lists of words, the result's first; none where anything goes."""
        if self.rest is not None:
            return []
        rows = []
        for count in range(self.least, len(self.parameters) + 1):
            choices = [self.gives.names(), *(one.kind.names() for one in self.parameters[:count])]
            some = [[]]
            for words in choices:
                some = [[*row, word] for row in some[:MOST] for word in words]
            rows += some
        return rows[:MOST]

    def __str__(self):
        """As a person reads it: (name, count: int = ...) -> array."""
        parts = [one.name + (f": {'|'.join(one.kind.names())}" if one.kind.words else "")
                 + (" = ..." if one.may_lack else "") for one in self.parameters]
        if self.rest is not None:
            parts.append("...")
        return f"({', '.join(parts)})" + (f" -> {'|'.join(self.gives.names())}" if self.gives.words else "")


def _taken(name, kind, value, spelt):
    try:
        return kind.taken(value, spelt)
    except ValueError as error:
        raise Fault(INVALID_PARAMS, f"parameter {name} {error}") from None


def of(function):
    """The Signature of a function or method.  Raises ValueError for one that a list of parameters cannot call."""
    plain = getattr(function, "__func__", function)
    if type(plain) is type(of) and not hasattr(plain, "__wrapped__"):
        return _of_function(plain, function is not plain)
    return _of_other(function)


def _of_function(function, is_bound):
    """By what a function knows of itself: `inspect` takes longer to import than a program to start."""
    code, names, notes = function.__code__, function.__globals__, function.__annotations__
    count, only, defaults = code.co_argcount, code.co_kwonlyargcount, function.__kwdefaults__ or {}
    words, first = code.co_varnames, int(is_bound)
    least = count - len(function.__defaults__ or ())

    def kind(name):
        """The Kind of what has this name."""
        return _kind(notes[name], names) if name in notes else Kind({})

    needed = [name for name in words[count:count + only] if name not in defaults and name != "caller"]
    if needed:
        raise _not_in_a_list(function, needed[0])
    rest = kind(words[count + only]) if code.co_flags & VARIABLE else None
    return Signature([Parameter(name, kind(name), place >= least) for place, name in enumerate(words[:count])
                      if place >= first and name != "caller"], kind("return"), rest,
                     "caller" in words[first:count + only], rest is not None or code.co_posonlyargcount > first)


def _of_other(function):
    """Of what is called like a function: written in C, wrapped, or an object."""
    import inspect
    try:
        found = inspect.signature(function)
    except ValueError:                  # some that are written in C do not tell
        return Signature([], rest=Kind({}))
    names = getattr(inspect.unwrap(function), "__globals__", {})
    parameters, rest, wants_caller, in_order = [], None, False, False
    for one in found.parameters.values():
        kind = Kind({}) if one.annotation is one.empty else _kind(one.annotation, names)
        if one.kind is one.VAR_POSITIONAL:
            rest, in_order = kind, True
        elif one.name == "caller":
            wants_caller = True
        elif one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD):
            in_order = in_order or one.kind is one.POSITIONAL_ONLY
            parameters.append(Parameter(one.name, kind, one.default is not one.empty))
        elif one.kind is one.KEYWORD_ONLY and one.default is one.empty:
            raise _not_in_a_list(function, one.name)
    gives = Kind({}) if found.return_annotation is found.empty else _kind(found.return_annotation, names)
    return Signature(parameters, gives, rest, wants_caller, in_order)


def _not_in_a_list(function, name):
    return ValueError(f"{getattr(function, '__qualname__', function)}: parameter {name} cannot be given in a list")


def _kind(annotation, names):
    """The Kind of an annotation, which may be written as a text."""
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, names)        # as typing does it; it is the module's own text
        except (NameError, AttributeError, SyntaxError, TypeError):     # for a type checker's eyes alone
            return Kind({})
    return kind_of(annotation)


def kind_of(annotation):
    """The Kind that an annotation means; what it does not know is anything."""
    if annotation is None:
        annotation = type(None)
    # these attributes are what typing.get_origin() and get_args() look at
    origin, inner = getattr(annotation, "__origin__", None), getattr(annotation, "__args__", ())
    if isinstance(annotation, UNION) or str(origin) == "typing.Union":
        return _any_of([kind_of(one) for one in inner])
    if origin is list and inner:
        return Kind({list: WORDS[list]}, {list: kind_of(inner[0])})
    if origin is dict and len(inner) == 2:
        return Kind({dict: WORDS[dict]}, {dict: kind_of(inner[1])})
    plain = origin or annotation
    if isinstance(plain, type) and plain in WORDS:
        return Kind({plain: WORDS[plain]})
    if isinstance(plain, type) and (plain.__module__, plain.__name__) == ("datetime", "datetime"):
        return Kind({plain: ("dateTime.iso8601", "a date")})
    return Kind({})


def _any_of(kinds):
    words, within = {}, {}
    for one in kinds:
        if not one.words:
            return Kind({})
        words.update(one.words)
        within.update(one.within)
    return Kind(words, within)
