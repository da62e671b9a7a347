"""Signatures out of annotations: what is let through, what is refused, and in what words."""

from __future__ import annotations

import math
import typing
from datetime import datetime

import pytest

from daemons.web.signatures import MOST, of
from daemons.wire import faults
from daemons.wire.faults import Fault

NOON = datetime(2026, 12, 31, 12, 0, 5)
ANY = object()


def taking(annotation):
    """A function of one parameter."""
    def function(x):
        return x
    function.__annotations__ = {"x": annotation}
    return of(function)


def taken(annotation, value, spelt=False):
    """What arrives of a value."""
    (found,), named = taking(annotation).arguments([value], spelt)
    assert named == {}
    return found


@pytest.mark.parametrize("annotation, right, wrong", [
    (int, [5], [True, 5.0, "5", None, [5]]), (float, [1.5], [True, "1.5", 10**400]), (str, ["a"], [5, b"a", None]),
    (bool, [True, False], [0, 1, "yes"]), (bytes, [b"a"], ["YQ==", 5]), (list, [[1, "a"]], [{}, "a", (1,)]),
    (dict, [{"a": 1}], [[], "a"]), (datetime, [NOON], ["20261231T12:00:05", 5]), (None, [None], [0, ""]),
    (int | None, [5, None], ["a", 1.5]), ("typing.Optional[str]", ["a", None], [5]),
    ("typing.Union[int, str]", [5, "a"], [1.5, None]),
    (list[int], [[], [1, 2]], [["a"], [True], [1, None], 5]),
    (dict[str, list[str]], [{"a": ["b"]}], [{"a": "b"}, {"a": [1]}]),
    (list[int] | str, [[1], "a"], [["a"]]), (typing.Any, [1, "a", None, []], []), (object, [5, None], []),
    ("int", [5], ["a"]), ("list[int | None]", [[1, None]], [["a"]]), ("Unknown", [5, "a"], []), (tuple, [[1]], []),
])
def test_what_an_annotation_lets_through(annotation, right, wrong):
    for value in right:
        assert taken(annotation, value) == value
    for value in wrong:
        with pytest.raises(Fault, match=r"parameter x (must be|is)") as fault:
            taken(annotation, value)
        assert fault.value.code == faults.INVALID_PARAMS


def test_a_whole_number_is_a_float_too():
    assert [type(one) for one in taken(list[float], [1, 2.5])] == [float, float]


def test_text_for_what_json_has_not():
    assert taken(datetime, "2026-12-31T12:00:05", spelt=True) == NOON
    assert taken(list[bytes], ["aGVsbG8="], spelt=True) == [b"hello"]
    assert taken(bytes | str, "aGVsbG8=", spelt=True) == "aGVsbG8="
    assert taken(datetime | bytes, "20261231T12:00:05", spelt=True) == NOON
    for annotation in (datetime, bytes, int):
        with pytest.raises(Fault):
            taken(annotation, "not?", spelt=True)


@pytest.mark.parametrize("annotation, said", [(int, "a whole number"), (str | None, "text or nothing"),
    (datetime, "a date"),
                                              (bytes, "octets"), (list[int], "a list"), (dict, "a struct")])
def test_the_words_of_a_refusal(annotation, said):
    with pytest.raises(Fault) as fault:
        taken(annotation, 1.5)
    assert fault.value.string == f"parameter x must be {said}"


def several(a: int, b: str = "", *, caller, more: int = 0) -> dict:
    """Everything at once."""


def any_number(a, *more: int):
    """One, and others."""


@pytest.mark.parametrize("params, why", [
    ([], "takes 1 to 2 parameters, not 0"), ([1, "a", 3], "takes 1 to 2 parameters, not 3"),
    ({}, "needs the parameter a"), ({"a": 1, "c": 2}, "has no parameter 'c'"),
    ({"a": 1, "caller": 2}, "has no parameter"),
    ({"a": 1, "more": 2}, "has no parameter"), ({"a": "1"}, "parameter a must be"),
    ([1, 2], "parameter b must be text")])
def test_how_many_and_which(params, why):
    with pytest.raises(Fault) as fault:
        of(several).arguments(params)
    assert fault.value.code == faults.INVALID_PARAMS and why in fault.value.string


def test_parameters_in_a_list_or_by_name():
    signature = of(several)
    assert signature.wants_caller
    assert signature.arguments([1]) == ([1], {}) and signature.arguments([1, "b"]) == ([1, "b"], {})
    assert signature.arguments({"b": "x", "a": 1}) == ([], {"a": 1, "b": "x"})
    assert of(any_number).arguments(["x", 1, 2]) == (["x", 1, 2], {})
    for params in (["x", 1, "y"], [], {"a": 1}):
        with pytest.raises(Fault):
            of(any_number).arguments(params)
    assert of(math.sqrt).arguments([4]) == ([4], {})
    with pytest.raises(Fault, match="in a list"):
        of(math.sqrt).arguments({"x": 4})


def partly(a: Nowhere, b: int) -> Nothing.atall:  # noqa: F821
    """Annotations of which a running program knows one."""


def test_one_annotation_that_is_unknown_takes_nothing_from_the_others():
    assert str(of(partly)) == "(a, b: int)" and of(partly).arguments([object, 1])
    with pytest.raises(Fault, match="parameter b"):
        of(partly).arguments([1, "1"])


def test_what_a_list_cannot_call_is_no_method():
    def function(*, needed):
        """It has to be given by name."""
    with pytest.raises(ValueError, match="needed"):
        of(function)


def test_what_is_told():
    assert of(several).told() == [["struct", "int"], ["struct", "int", "string"]]
    assert str(of(several)) == "(a: int, b: string = ...) -> struct"
    assert of(any_number).told() == [] and str(of(any_number)) == "(a, ...)"
    assert taking(int | None).told() == [["any", "int"], ["any", "nil"]] and str(taking(int | None)) == "(x: int|nil)"
    assert taking(datetime).told() == [["any", "dateTime.iso8601"]]
    assert of(lambda: 1).told() == [["any"]] and str(of(lambda: 1)) == "()"
    many: typing.Any = int | str | bool | float
    told = of(_annotated(lambda a, b, c, d: 1, dict.fromkeys("abcd", many))).told()
    assert len(told) == MOST and all(len(row) == 5 for row in told)


def _annotated(function, annotations):
    function.__annotations__ = annotations
    return function
