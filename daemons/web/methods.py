"""Methods that others may call, and the Registry that calls them: by their names, and by nothing else.

A name is a key and no path: "a.b" is the method of this name or none, never what `b` may be of `a`.  Nothing is looked
up in an object when a call comes; what can be called was put down when the program started.

    registry = Registry(report=log_it)
    registry.add(load("backups:status"))
    registry.call("status", ["web1"], Caller(user="ann"))
"""

from daemons.wire.faults import APPLICATION_ERROR, DENIED, UNKNOWN_METHOD, Fault
from daemons.wire.xmlrpcmessages import LONGEST_NAME, NAME_SIGNS

from . import signatures

INTERNAL = "internal error"     # all that a caller learns of a crash


class Caller:
    """Who calls: the user who has proved who he is ("" for nobody), and the host he calls from."""

    __slots__ = ("host", "user")

    def __init__(self, user="", host=""):
        self.user, self.host = user, host


NOBODY = Caller()
FUNCTIONS = type(Caller.__init__), type(NOBODY.__init__), type(len)      # in Python, bound to an object, and in C


class Limits:
    """What a call may take where it runs in a process of its own: seconds, and octets that it prints."""

    __slots__ = ("octets", "seconds")

    def __init__(self, seconds=10.0, octets=1 << 20):
        self.seconds, self.octets = seconds, octets


class Method:
    """One method.

    function    what is called; one with a parameter `caller` is given the Caller
    signature   what it takes, by default out of the function's annotations
    help        a text for people, by default the function's docstring
    allow_none  whether it may give nothing (None), for which XML-RPC needs an extension
    users       the names of those who may call it; None: everybody, whoever he is
    limits      Limits that the function has been told of, for who asks
    """

    __slots__ = ("_help", "allow_none", "function", "limits", "name", "signature", "users")

    def __init__(self, name, function, *, signature=None, help=None, allow_none=False, users=None, limits=None):
        if not is_name(name):
            raise ValueError(f"not the name of a method: {name!a}")
        self.name, self.function = name, function
        self.signature = signature or signatures.of(function)
        self._help = help
        self.allow_none, self.users, self.limits = allow_none, users, limits

    @property
    def help(self):
        """What it is for, in words; "" if nobody said."""
        if self._help is None:
            import inspect  # which takes its time, for the few who ask
            self._help = inspect.getdoc(self.function) or ""
        return self._help

    @property
    def signatures(self):
        """As system.methodSignature tells it: lists of words, the result's first; empty where anything goes."""
        return self.signature.told()

    def may_be_called_by(self, caller):
        """Is this caller one of those it is for?"""
        return self.users is None or caller.user in self.users


class Denied(Fault):
    """The method is for others; `knows_caller` is whether the caller had said who he is."""

    def __init__(self, name, knows_caller):
        super().__init__(DENIED, f"{name} is not for you" if knows_caller else f"{name} wants to know who you are")
        self.knows_caller = knows_caller


class Registry:
    """All methods there are, by name.

    `report(name, error)` is told of every crash of a method, since its caller gets to know nothing but INTERNAL;
    `debug` tells him the class and the text of the error.
    """

    def __init__(self, report=None, debug=False):
        self.methods, self.report, self.debug = {}, report, debug

    def add(self, methods):
        """Take in some more.  Raises ValueError where a name is taken."""
        for method in methods:
            if method.name in self.methods:
                raise ValueError(f"there are two methods {method.name}")
            self.methods[method.name] = method

    def restrict(self, users, names):
        """Let only these users call the methods of these names, "backup.*" being all that begin so.

        Raises ValueError where there is none such.
        """
        for name in names:
            found = [one for one in self.methods.values() if _is_meant(one.name, name)]
            if not found:
                raise ValueError(f"there is no method {name}")
            for one in found:
                one.users = frozenset(users)

    def known(self, caller=NOBODY):
        """The methods that this caller may call, in the order of their names."""
        return [self.methods[name] for name in sorted(self.methods) if self.methods[name].may_be_called_by(caller)]

    def method(self, name, caller=NOBODY):
        """The method of this name.  Raises Fault: there is none, or, as Denied, it is for others."""
        found = self.methods.get(name)
        if found is None:
            raise Fault(UNKNOWN_METHOD, f"there is no method {name[:60]!a}")
        if not found.may_be_called_by(caller):
            raise Denied(name, bool(caller.user))
        return found

    def call(self, name, params, caller=NOBODY, spelt=False):
        """Call it with `params`, a list or a dict by name; what it gives.  Raises Fault, and nothing else.

        `spelt` is whether dates and octets come as text, as JSON has them.
        """
        method = self.method(name, caller)
        try:
            arguments, named = method.signature.arguments(params, spelt)
        except Fault as fault:
            raise Fault(fault.code, f"{name}: {fault.string}") from None
        if method.signature.wants_caller:
            named["caller"] = caller
        try:
            value = method.function(*arguments, **named)
        except Fault:
            raise
        except Exception as error:      # whatever a method of somebody's may raise is no business of the caller's
            raise self._crash(name, error) from error
        if value is None and not method.allow_none:
            raise Fault(APPLICATION_ERROR, f"{name} gave nothing, which it is not declared to do")
        return value

    def _crash(self, name, error):
        if type(error).__module__ == "xmlrpc.client" and type(error).__name__ == "Fault":
            return Fault(_code(error.faultCode), str(error.faultString))        # meant for the caller
        if self.report is not None:
            self.report(name, error)
        return Fault(APPLICATION_ERROR, f"{type(error).__name__}: {error}" if self.debug else INTERNAL)


def is_name(name):
    """Can a method have this name?  Letters, digits and _.:/- (in ASCII); no part of it begins with an underscore."""
    parts = name.split(".")
    return len(name) <= LONGEST_NAME and NAME_SIGNS.issuperset(name) and all(parts) \
        and not any(part.startswith("_") for part in parts)


def _is_meant(name, pattern):
    return name.startswith(pattern[:-1]) if pattern.endswith(".*") else name == pattern


def _code(number):
    return number if type(number) is int else APPLICATION_ERROR


# -- out of Python modules --


def load(spec, allow_none=False):
    """The methods that MODULE or MODULE:OBJECT has to offer.  Raises ValueError.

    A module offers what its METHODS says (a mapping of names to functions), or else the functions that its __all__
    names, or else those of its own whose names do not begin with an underscore.  An OBJECT is such a mapping, a
    function, or what has methods: a class is called without arguments first.
    """
    module, colon, attribute = spec.partition(":")
    found = _import(module)
    if not colon:
        offers = _offers_of_module(found)
    elif attribute.startswith("_") or not hasattr(found, attribute):
        raise ValueError(f"{spec}: there is nothing of this name in {module}")
    else:
        offers = _offers_of_object(attribute, getattr(found, attribute))
    if not offers:
        raise ValueError(f"{spec} has no methods to offer")
    return [_made(spec, name, function, allow_none) for name, function in offers.items()]


def _import(name):
    from importlib import import_module
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"{name!a} is not the name of a module")
    try:
        return import_module(name)
    except Exception as error:          # it runs whatever stands in it
        raise ValueError(f"module {name} cannot be loaded: {type(error).__name__}: {error}") from error


def _offers_of_module(module):
    chosen = getattr(module, "METHODS", None)
    if chosen is not None:
        return dict(chosen)
    names = getattr(module, "__all__", None)
    if names is not None:
        return {name: getattr(module, name) for name in names if _is_function(getattr(module, name))}
    return {name: one for name, one in vars(module).items()
            if not name.startswith("_") and _is_function(one) and one.__module__ == module.__name__}


def _offers_of_object(name, thing):
    if isinstance(thing, dict):
        return thing
    if _is_function(thing):
        return {name: thing}
    if isinstance(thing, type):
        try:
            thing = thing()
        except Exception as error:      # it runs whatever stands in it
            raise ValueError(f"{name}() cannot be made: {type(error).__name__}: {error}") from error
    # looked up in its class, so that no property is asked for its value
    return {name: getattr(thing, name) for name in dir(type(thing)) if not name.startswith("_")
            and _is_method(getattr(type(thing), name))}


def _is_function(thing):
    return isinstance(thing, FUNCTIONS)


def _is_method(thing):
    return isinstance(thing, FUNCTIONS[:2])


def _made(spec, name, function, allow_none):
    if not (isinstance(name, str) and callable(function)):
        raise ValueError(f"{spec}: {name!a} is not a method")
    try:
        return Method(name, function, allow_none=allow_none)
    except ValueError as error:
        raise ValueError(f"{spec}: {error}") from None
