"""Declared values are checked as they are declared."""

from dataclasses import dataclass
from typing import Any

import pytest

from genrestore.setting import Setting, setting, settings


@pytest.mark.parametrize(
    ("within", "fits", "fails", "sentence"),
    [
        ("[1, ∞)", [1, 2, 10**12], [0, -1, float("nan")], "x must be at least 1, not {}."),
        ("(0, ∞)", [1e-9, 3], [0, -2], "x must be above 0, not {}."),
        ("[0, 1)", [0, 0.99], [1, -0.1], "x must lie in [0, 1), not {}."),
        ("(0, 1]", [1, 0.1], [0, 1.1], "x must lie in (0, 1], not {}."),
        ("[-5, 4294967295]", [-5, 4294967295], [-6, 4294967296], "x must lie between -5 and 4294967295, not {}."),
        ("[0, 1)", [(0.5, 0.9), ()], [(0.5, 1.0)], "x must be numbers in [0, 1), not {}."),
        ("", [-1, 1e300], [], ""),
    ],
)
def test_numbers_lie_within(within: str, fits: list[Any], fails: list[Any], sentence: str) -> None:
    one = Setting("What it does.", within=within)
    assert [one.complaint("x", value) for value in fits] == [""] * len(fits)
    assert [one.complaint("x", value) for value in fails] == [sentence.format(value) for value in fails]


def test_words_are_among_the_choices() -> None:
    assert Setting("What it does.").described == "What it does."
    one = Setting("What it does.", choices=("a", "b"))
    assert one.described == "What it does: a, b."
    assert Setting("What it does.", "Name").described == "Name: What it does."
    assert one.complaint("x", "a") == one.complaint("x", ("b", "a")) == one.complaint("x", ()) == ""
    assert one.complaint("x", "c") == "x must be one of a, b, not 'c'."
    assert one.complaint("x", ("a", "c")) == "x takes a, b, not 'c'."


def test_what_is_no_interval_is_seen_by_whoever_writes_it() -> None:
    with pytest.raises(AssertionError, match=r"0\.\.1 is no interval"):
        Setting("What it does.", within="0..1").complaint("x", 0.5)


def test_a_dataclass_tells_what_it_declares() -> None:
    @dataclass
    class Kind:
        plain: int = 3
        steps: int = setting(5, "How many.", "Steps", "course", within="[1, ∞)")
        mode: str = setting("a", "Which.", choices=("a", "b"))

    assert Kind().steps == 5 and Kind(steps=2).steps == 2
    assert settings(Kind) == {
        "steps": Setting("How many.", "Steps", "course", "[1, ∞)"),
        "mode": Setting("Which.", choices=("a", "b")),
    }
