"""What a client would rather have: its Accept and Accept-Encoding fields, and what is on offer (RFC 9110, 12.5)."""

from functools import lru_cache

from daemons.wire.httpfields import is_token

OLD_NAMES = {"x-gzip": "gzip", "x-compress": "compress"}        # RFC 9110, 8.4.1
IDENTITY, ANY = "identity", "*"


class MediaRange:
    """A media type, or many with `*` for what may be anything; `weight` is what q says of them, from 0 to 1."""

    __slots__ = ("kind", "parameters", "subtype", "weight")

    def __init__(self, kind: str, subtype: str, parameters: frozenset[tuple[str, str]], weight: float) -> None:
        self.kind, self.subtype, self.parameters, self.weight = kind, subtype, parameters, weight

    def fits(self, offered: "MediaRange") -> int:
        """How exactly it names what is offered, 1 or more; 0 where it does not."""
        if not self.parameters <= offered.parameters:
            return 0
        if self.kind == ANY:
            return 1
        if self.kind != offered.kind:
            return 0
        if self.subtype == ANY:
            return 2
        return 3 + len(self.parameters) if self.subtype == offered.subtype else 0


def qualities(text: str) -> dict[str, float]:
    """Codings by name, in lower case and as they are called today, with their weights; of two entries the last counts.

    What is not a name, or has no weight from 0 to 1 with three decimals at most, is passed over.
    """
    found = {}
    for element in text.split(","):
        name, semicolon, parameter = element.partition(";")
        name = name.strip(" \t")
        weight = _weight(parameter.strip(" \t")) if semicolon else 1.0
        if weight is not None and is_token(name):
            name = name.lower()
            found[OLD_NAMES.get(name, name)] = weight
    return found


@lru_cache(maxsize=256)
def encodings(text: str | None, offered: tuple[str, ...]) -> tuple[str, ...]:
    """The content codings of `offered` that an Accept-Encoding field takes, best first, as they were offered.

    Among equals the order of `offered` decides.  "identity", for no coding, is the last resort unless the field
    mentions it; an empty answer means that it refuses even that.  Without the field (None) RFC 9110 12.5.3 lets
    everything pass, but who never heard of codings could not read it: that is identity alone.
    """
    weights = qualities(text or "")
    others = weights.get(ANY, 0.0)
    ranked = [(-weights.get(name, others), name) for name in offered if name != IDENTITY]
    if IDENTITY in offered:
        # listed nowhere it is taken, though after everything that was asked for by name
        weight = weights.get(IDENTITY, weights.get(ANY, 0.0001))
        ranked.insert(offered.index(IDENTITY), (-weight, IDENTITY))
    return tuple(name for weight, name in sorted(ranked, key=lambda one: one[0]) if weight < 0)


@lru_cache(maxsize=256)
def prefers(accept: str | None, offered: tuple[str, ...]) -> str:
    """The media type of `offered` that an Accept field gives the most weight; the first where it has no say.

    The range that names a type most exactly decides on it.  Where nothing offered would do, the first is as good as
    any (RFC 9110, 12.4.1).
    """
    asked = [one for element in _split(accept or "", ",") if (one := _media_range(element))]
    best, most = offered[0], 0.0
    for name in offered:
        kind = _media_range(name)
        if kind is None:
            raise ValueError(f"not a media type: {name}")
        exactness, weight = 0, 0.0
        for one in asked:
            fit = one.fits(kind)
            if fit and fit >= exactness:
                exactness, weight = fit, one.weight
        if weight > most:
            best, most = name, weight
    return best


def _media_range(element: str) -> MediaRange | None:
    """One element of an Accept field; None where it is none."""
    name, *rest = _split(element, ";")
    kind, _, subtype = name.strip(" \t").partition("/")
    if not is_token(kind) or not is_token(subtype) or (kind == ANY and subtype != ANY):
        return None
    parameters, weight = set(), 1.0
    for parameter in rest:
        key, equals, value = parameter.strip(" \t").partition("=")
        if not key and not equals:              # RFC 9110, 5.6.6: a semicolon with nothing after it
            continue
        if not is_token(key):
            return None
        if key in ("q", "Q"):                   # RFC 9110, 12.5.1: wherever among the parameters it stands
            q = _weight(f"q={value}")
            if q is None:
                return None
            weight = q
            continue
        bare = _unquoted(value)
        if bare is None:
            return None
        # the charset is the one parameter of our types, and its value knows no case (RFC 9110, 8.3.2)
        parameters.add((key.lower(), bare.lower() if key.lower() == "charset" else bare))
    return MediaRange(kind.lower(), subtype.lower(), frozenset(parameters), weight)


def _weight(parameter: str) -> float | None:
    """The value of `q=0.5`, RFC 9110, 12.4.2; None for anything else."""
    whole, point, decimals = parameter[2:].partition(".")
    if parameter[:2] not in ("q=", "Q=") or whole not in ("0", "1") or len(decimals) > 3:
        return None
    if decimals and (not decimals.isascii() or not decimals.isdigit() or (whole == "1" and decimals.strip("0"))):
        return None
    return int(whole) + int(decimals.ljust(3, "0")) / 1000 if point else float(whole)


def _unquoted(value: str) -> str | None:
    """A parameter's value, which may be a token or a quoted string (RFC 9110, 5.6.4)."""
    if is_token(value):
        return value
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return None
    shown, escaped = "", False
    for sign in value[1:-1]:
        if not escaped and sign == '"':
            return None
        if escaped or sign != "\\":
            shown += sign
        escaped = not escaped and sign == "\\"
    return None if escaped else shown


def _split(text: str, separator: str) -> list[str]:
    """The pieces between separators that do not stand in quotes."""
    if '"' not in text:
        return text.split(separator)
    pieces, start, quoted, escaped = [], 0, False, False
    for place, sign in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and sign == "\\":
            escaped = True
        elif sign == '"':
            quoted = not quoted
        elif sign == separator and not quoted:
            pieces.append(text[start:place])
            start = place + 1
    return [*pieces, text[start:]]
