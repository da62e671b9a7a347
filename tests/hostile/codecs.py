"""The codecs of daemons/wire that take what a peer, a file or an administrator wrote, found by their annotations."""

import importlib
import inspect

from hypothesis import strategies as st

from tests import sources

from .octets import TRICKS, spoilt

OCTETS = st.one_of(st.sampled_from(TRICKS), st.binary(max_size=200),
                   spoilt(b"6193, 23 : USERID : UNIX , UTF-8 : root\r\n"), spoilt(b"/W alice@b@c 10 -1\r\n"),
                   spoilt(b"service x\n{\n  port = 7\n  wait += no\n}\n[Socket]\nListenStream=[::]:7 # %n\n"))
TEXTS = OCTETS.map(lambda octets: octets.decode("utf-8", "surrogateescape")) | st.text(max_size=200)
KINDS = {"bytes": OCTETS, "str": TEXTS, "str | bytes": TEXTS | OCTETS, "bool": st.booleans(),
         "int": st.integers(-2**70, 2**70), "float": st.floats(0, 1e12)}


def codecs():
    """{"wire.identlines.parse": (function, strategy of its arguments)}: public functions of octets or text alone."""
    found = {}
    for path in sources.files("daemons/wire"):
        module = importlib.import_module(sources.module(path))
        for name, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
                wanted = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
                if any(one.kind is one.KEYWORD_ONLY for one in wanted):
                    continue            # it makes something of values
                kinds = [_kind(one) for one in wanted]
                if kinds and all(kind in KINDS for kind in kinds) and kinds[0] in ("bytes", "str", "str | bytes"):
                    label = f"{module.__name__.removeprefix('daemons.')}.{name}"
                    found[label] = function, st.tuples(*(KINDS[kind] for kind in kinds))
    return found


def _kind(parameter):
    kind = parameter.annotation
    return kind if isinstance(kind, str) else getattr(kind, "__name__", None) or str(kind)


CODECS = codecs()
