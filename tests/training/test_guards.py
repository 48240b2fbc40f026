"""Guards of RL: what counts as a collapse, and that a warning comes once."""

import math

import pytest

from habits.cluster_params import Guards
from habits.training.guards import CollapseError, Watch

GOOD = {"step": 7, "policy_loss": 0.1, "grad_norm": 1.0, "entropy": 0.5, "mean_tokens": 100.0, "kl": math.nan}
TEXTS = ["5 + 3 = 8", ". . . . " * 40]


def guards(on_collapse: str) -> Guards:
    return Guards(on_collapse=on_collapse, min_entropy=0.01, min_tokens=4, max_repetition=0.5)


def test_a_healthy_step_passes() -> None:
    Watch("rl x", guards("stop")).check(GOOD, TEXTS)


@pytest.mark.parametrize(
    ("change", "texts", "words"),
    [
        ({"grad_norm": math.nan}, TEXTS, "not a number: grad_norm"),
        ({"kl": math.inf}, TEXTS, "not a number: kl"),
        ({"entropy": 0.001}, TEXTS, r"entropy 0.0010 is below 0.01"),
        ({"mean_tokens": 1.5}, TEXTS, "1.5 tokens a response, below 4"),
        ({}, ["!" * 100, "!" * 40, "fine"], "67% of the responses repeat one character"),
    ],
)
def test_a_collapse_stops_with_run_step_and_reason(
    change: dict[str, float], texts: list[str], words: str
) -> None:
    with pytest.raises(CollapseError, match=f"rl x: step 7: {words}"):
        Watch("rl x", guards("stop")).check(GOOD | change, texts)


def test_a_warning_comes_once(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch("rl x", guards("warn"))
    for _ in range(3):
        watch.check(GOOD | {"entropy": 0.0}, TEXTS)
    assert capsys.readouterr().err.count("warning: rl x: step 7: entropy") == 1
