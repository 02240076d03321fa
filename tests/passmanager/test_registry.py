"""Passes by name and pipelines as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qir.passes  # noqa: F401  (names the passes)
from qir.errors import PassError
from qir.passmanager import registry
from qir.passmanager.base import Pass
from qir.passmanager.registry import parse_pipeline, pass_class, pass_names, pipeline_text, register_pass
from tests.passmanager.passes import Demanding, Idle, Options, Scale


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    """The passes of these tests, for the time of these tests."""
    known = dict(registry._CLASSES)
    for cls in (Idle, Options, Scale, Demanding):
        register_pass(cls)
    yield
    registry._CLASSES.clear()
    registry._CLASSES.update(known)


words = st.text("abcdefgxyz-_./0123456789", min_size=1, max_size=8)
numbers = st.integers(-(2**40), 2**40)
reals = st.floats(allow_nan=False)
options = st.builds(
    Options,
    flag=st.booleans(),
    count=numbers,
    share=reals,
    word=words,
    some_list=st.lists(numbers | reals, max_size=4).map(tuple),
    maybe=st.none() | numbers,
)
pipelines = st.lists(options | st.just(Idle()) | st.builds(Scale, by=reals, which=words), max_size=4)


@given(pipelines)
def test_text_reads_back_to_equal_passes(passes: list[Pass]) -> None:
    assert tuple(passes) == parse_pipeline(pipeline_text(passes))


@given(pipelines)
def test_text_is_stable(passes: list[Pass]) -> None:
    text = pipeline_text(passes)
    assert text == pipeline_text(parse_pipeline(text))


@pytest.mark.parametrize("name", pass_names())
def test_every_pass_loads_prints_and_parses_itself(name: str) -> None:
    cls = pass_class(name)
    assert name == cls.name
    made = cls()
    assert name == str(made)
    assert (made,) == parse_pipeline(name)
    assert (cls.__doc__ or "").strip()
    assert not (cls.__doc__ or "").startswith(f"{cls.__name__}("), "only the docstring that dataclass makes"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("idle", (Idle(),)),
        ("  idle ,\n idle", (Idle(), Idle())),
        ("options{}", (Options(),)),
        ("options{flag=true, count=-4}", (Options(flag=True, count=-4),)),
        ("options{some-list=[1,2.5,x],word=a},idle", (Options(some_list=(1, 2.5, "x"), word="a"), Idle())),
        ("options{some_list=[]}", (Options(),)),
        ("options{share=1}", (Options(share=1.0),)),
        ("options{flag=1}", (Options(flag=True),)),
        ("options{word=7}", (Options(word="7"),)),
        ("demanding{size=2}", (Demanding(2),)),
    ],
)
def test_forms_of_the_text(text: str, expected: tuple[Pass, ...]) -> None:
    assert expected == parse_pipeline(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("idel", "idle"),
        ("fold-constant", "fold-constants"),
        ("zzzzzzzz", "--list"),
        ("options{zeal=1}", "its options: flag, count|flag, count, share, word, some-list, maybe"),
        ("idle{zeal=1}", "has none"),
        ("options{count}", "count"),
        ("options{count=1.5}", "whole number"),
        ("options{count=many}", "whole number"),
        ("options{share=much}", "number"),
        ("options{flag=2}", "true or false"),
        ("options{some-list=3}", "list"),
        ("options{count=1", "parse"),
        ("idle idle", "parse"),
        ("idle,,idle", "parse"),
        (",idle", "parse"),
        ("idle}", "parse"),
        ("demanding", "size"),
        ("demanding{size=3}", "odd"),
    ],
)
def test_mistakes_are_named(text: str, told: str) -> None:
    with pytest.raises(PassError, match=told):
        parse_pipeline(text)


def test_a_name_is_given_once() -> None:
    register_pass(Idle)  # the same class again, as when a module is reloaded, is no clash

    @dataclass(frozen=True)
    class Other(Idle):
        name: ClassVar[str] = "idle"

    with pytest.raises(PassError, match="twice"):
        register_pass(Other)
    with pytest.raises(PassError, match="twice"):
        register_pass(type("Fold", (Idle,), {"name": "fold-constants"}))


def test_passes_of_installed_packages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name, value = "plugged-in", "tests.passmanager.passes:LossyScale"

    def points(group: str) -> list[Any]:
        assert "qir.passes" == group
        return [Point]

    monkeypatch.setattr(registry, "entry_points", points)
    assert "plugged-in" in pass_names()
    assert "lossy-scale" == pass_class("plugged-in").name


@pytest.mark.parametrize("where", ["tests.absent:Gone", "tests.passmanager.passes:Gone"])
def test_a_package_that_is_broken_is_named(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setitem(registry._TABLE, "gone", where)
    with pytest.raises(PassError, match=r"gone.*cannot be loaded"):
        pass_class("gone")
