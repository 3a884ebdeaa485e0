"""Logs of made trainings, and the sentence that tells how each goes."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from genrestore.recipe import TrainRecipe
from genrestore.tasks.task import Score
from genrestore.training import judge as judging
from genrestore.training.judge import judge


def log(count: int, noise: float = 0.1, seed: int = 0, **curves: Callable[[float], float]) -> list[dict[str, Any]]:
    """`count` lines, 50 steps apart, of losses that follow the curves over [0, 1] with that relative noise."""
    rng = np.random.default_rng(seed)
    return [
        {"step": 50 * k, "losses": {n: curve(k / count) * (1 + noise * rng.normal()) for n, curve in curves.items()}}
        for k in range(count)
    ]


def measured(lines: list[dict[str, Any]], name: str, better: str, curve: Callable[[float], float]) -> Any:
    """The lines with a measurement after every tenth."""
    out: list[dict[str, Any]] = []
    for k, line in enumerate(lines):
        out.append(line)
        if k % 10 == 9:
            scores = {name: curve(k / len(lines)), "other": float("nan")}
            out.append({"step": line["step"], "holdout": scores, "better": {name: better}})
    return out


@pytest.mark.parametrize("noise", [0.02, 0.2])
@pytest.mark.parametrize("seed", range(5))
def test_one_players_loss(noise: float, seed: int) -> None:
    """Falling, standing still and rising are told apart in the noise of single batches."""
    assert judge(log(200, noise, seed, net=lambda t: 2 - t)).code == "falling"
    assert judge(log(200, noise, seed, net=lambda t: 0.01 - 0.005 * t)).code == "falling"
    assert judge(log(400, noise, seed, net=lambda t: 1 + 8 * max(0.0, 0.2 - t))).code == "flat"
    assert judge(log(200, noise, seed, net=lambda t: 0.5 + t)).code == "rising"


def test_negative_losses_fall_too() -> None:
    """The log of an error, or a hinge."""
    verdict = judge(log(100, 0.05, net=lambda t: -4 - 3 * t))
    assert verdict.code == "falling" and verdict.mood == "good" and "(from -4" in verdict.text


def test_too_early() -> None:
    assert judge([]).text == "Too early to say: 0 steps are done."
    assert judge(log(11, net=lambda t: 1 - t)).code == "early"
    slow = [{**line, "step": line["step"] // 50} for line in log(60, net=lambda t: 1 - t)]
    assert judge(slow).text == "Too early to say: 60 steps are done."
    lines = log(30, net=lambda t: 1 + t)
    assert judge(lines, TrainRecipe(own={"beta_warmup": 2000})).code == "early", "the loss rises because its weights do"
    assert judge(lines, TrainRecipe(warmup=1000)).code == "rising"


def test_what_is_kept_aside_decides() -> None:
    """PSNR rises where it goes well, SWD falls; a falling loss does not make up for a worse score."""
    lines = log(100, net=lambda t: 2 - t)
    good = judge(measured(lines, "psnr", "higher", lambda t: 20 + 5 * t))
    assert good.code == "improving" and "psnr went from 20.4" in good.text
    bad = judge(measured(lines, "psnr", "higher", lambda t: 25 - 5 * abs(t - 0.4)))
    assert bad.code == "overfitting" and "best at step 1951" in bad.text and bad.mood == "bad"
    assert judge(measured(lines, "swd", "lower", lambda t: 90 - 5 * t)).code == "improving"
    assert judge(measured(lines, "swd", "lower", lambda t: 90 + 5 * t)).code == "overfitting"
    assert (
        judge(measured(log(100, net=lambda t: 1.0), "psnr", "higher", lambda t: 25 - 5 * abs(t - 0.4))).code
        == "settled"
    )
    assert judge(measured(lines, "psnr", "higher", lambda t: min(25.0, 20 + 20 * t))).code == "settled"


def test_two_players() -> None:
    even = log(100, generator=lambda t: 1.5, critic=lambda t: 1.0)
    assert judge(even).code == "balanced"
    ahead = log(100, generator=lambda t: 2 + 6 * t, critic=lambda t: max(0.02, 1 - 2 * t))
    assert judge(ahead).code == "critic-ahead" and judge(ahead).mood == "bad"
    assert judge(measured(even, "swd", "lower", lambda t: 90 - 40 * t)).code == "improving"
    assert judge(measured(even, "swd", "lower", lambda t: 50 + 40 * t)).code == "settled"
    assert judge([*even, {"step": 5000, "memorised": 0.02}]).code == "balanced"
    copying = judge([*even, {"step": 5000, "memorised": 0.4}])
    assert copying.code == "copying" and "40%" in copying.text
    assert judge([*even, {"step": 5000, "memorised": 0.4}, {"step": 5100, "memorised": 0.0}]).code == "balanced"


def test_every_sentence_can_be_said_with_its_values() -> None:
    """And JSON carries the values to the page."""
    lines = log(100, net=lambda t: 2 - t)
    even = log(100, generator=lambda t: 1.5, critic=lambda t: 1.0)
    trials = [
        [], lines, log(100, net=lambda t: 1.0), log(100, net=lambda t: 1 + t), even, [*even, {"step": 1, "memorised": 0.5}],
        log(100, generator=lambda t: 9.0, critic=lambda t: 0.01), measured(lines, "psnr", "higher", lambda t: t),
        measured(lines, "psnr", "higher", lambda t: -t), measured(even, "psnr", "higher", lambda t: -t),
    ]  # fmt: skip
    verdicts = [judge(trial) for trial in trials]
    assert {verdict.code for verdict in verdicts} == set(judging.SENTENCES)
    for verdict in verdicts:
        assert verdict.text.endswith(".") and "\n" not in verdict.text and "nan" not in verdict.text
        assert json.loads(json.dumps(verdict.values, allow_nan=False)) == verdict.values


@pytest.mark.parametrize(
    "strange",
    [
        {}, {"step": None}, {"step": "5"}, {"losses": 3}, {"step": 3, "losses": [1]}, {"step": 3, "losses": {"net": "low"}},
        {"step": 3, "losses": {"net": float("nan"), "critic": None}}, {"step": 10**400}, {"step": float("inf")},
        {"step": 3, "holdout": 7}, {"step": 3, "holdout": {}}, {"step": 3, "holdout": {"psnr": None}, "better": "higher"},
        {"step": 3, "memorised": "much"},
    ],
    ids=str,
)  # fmt: skip
def test_lines_that_say_nothing_are_passed_over(strange: dict[str, Any]) -> None:
    lines = log(100, net=lambda t: 2 - t)
    assert judge([strange, *lines, strange]) == judge(lines)


def test_scores_know_what_is_better() -> None:
    assert Score("psnr", 30.0, "higher").beats(29.0) and not Score("psnr", 30.0, "higher").beats(31.0)
    assert Score("swd", 30.0, "lower").beats(31.0) and not Score("swd", 30.0, "lower").beats(29.0)
    assert Score("psnr", -1.0, "higher").beats(None) and Score("swd", 1e9, "lower").beats(None)


def test_judging_loads_no_torch() -> None:
    code = "import genrestore.training.judge, sys; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
