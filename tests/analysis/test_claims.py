"""Verdict rules by table, the claims file, and verdicts on runs whose truth is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_results import Analysed

from habits.analysis.claims import (
    ClaimError,
    ClaimsReport,
    Kind,
    decide,
    decide_claims,
    load_claims,
    load_report,
)
from habits.analysis.published import published_series
from habits.analysis.resampling import Interval
from habits.artifacts import ArtifactError

CLAIMS = Path(__file__).parents[2] / "workflow" / "claims" / "countdown.yaml"


@pytest.mark.parametrize(
    ("kind", "effect", "low", "high", "verdict"),
    [
        ("superiority", 0.20, 0.10, 0.30, "supported"),
        ("superiority", 0.05, 0.01, 0.09, "supported"),  # exactly the minimal effect
        ("superiority", 0.20, -0.01, 0.41, "inconclusive"),  # large, but may be nothing
        ("superiority", 0.20, 0.00, 0.40, "inconclusive"),
        ("superiority", 0.04, 0.01, 0.07, "inconclusive"),  # there, but perhaps too small to count
        ("superiority", 0.02, 0.01, 0.03, "not_supported"),  # there, and too small to count
        ("superiority", 0.00, -0.04, 0.04, "not_supported"),
        ("superiority", -0.20, -0.30, -0.10, "not_supported"),
        ("superiority", -0.01, -0.10, 0.08, "inconclusive"),
        ("equivalence", 0.00, -0.04, 0.04, "supported"),
        ("equivalence", 0.03, 0.01, 0.05, "supported"),  # different from 0, yet within the margin
        ("equivalence", 0.03, -0.01, 0.07, "inconclusive"),
        ("equivalence", -0.03, -0.07, 0.01, "inconclusive"),
        ("equivalence", 0.10, 0.06, 0.14, "not_supported"),
        ("equivalence", -0.10, -0.14, -0.06, "not_supported"),
        ("equivalence", 0.10, 0.05, 0.15, "inconclusive"),
    ],
)
def test_verdicts_follow_the_stated_rules(
    kind: Kind, effect: float, low: float, high: float, verdict: str
) -> None:
    assert decide(kind, effect, Interval(low, high), 0.05) == verdict


@pytest.fixture(scope="module")
def report(analysed: Analysed, tmp_path_factory: pytest.TempPathFactory) -> ClaimsReport:
    out = tmp_path_factory.mktemp("claims") / "claims.json"
    decide_claims(analysed.params, analysed.statistics, CLAIMS, out)
    return load_report(out)


def test_known_effects_are_recovered(report: ClaimsReport) -> None:
    verdicts = {result.claim.id: result.verdict for result in report.results}
    assert verdicts["behaviors_beat_length_matched_empty_cot"] == "supported"
    assert verdicts["searching_base_beats_plain_base"] == "supported"
    # Twins of equal truth: with 48 problems nobody can tell, and the verdict must not pretend.
    assert verdicts["wrong_answers_prime_as_well"] == "inconclusive"


def seeds_of(analysed: Analysed, model: str, priming: str) -> list[int]:
    runs = analysed.params.runs
    return sorted(
        run.seed for run in runs if (run.model, run.priming, run.algorithm) == (model, priming, "ppo")
    )


def test_a_contrast_states_effect_interval_n_seeds_and_adjusted_p(
    report: ClaimsReport, analysed: Analysed
) -> None:
    final = analysed.table("final").query("metric == 'accuracy' and algorithm == 'ppo'")
    means = final.set_index(["model", "priming"])["mean"]
    for result in report.results:
        ours = result.ours
        assert ours is not None
        better, worse = result.claim.better, result.claim.worse
        wanted = means[better.model, better.priming] - means[worse.model, worse.priming]
        assert ours.effect == pytest.approx(wanted)
        assert ours.low < ours.effect < ours.high
        seeds, others = (seeds_of(analysed, side.model, side.priming) for side in (better, worse))
        assert (ours.seeds_better, ours.n_problems, ours.rl_step_better) == (seeds, 48, 40)
        assert ours.p <= ours.p_holm <= 1
        paired = "seeds and problems" if seeds == others else "problems"
        assert (ours.paired_over, ours.resampled) == (paired, "seeds+problems")
        assert f"{ours.effect:+.3f}" in result.reason


def test_problems_are_paired(report: ClaimsReport, analysed: Analysed) -> None:
    """The interval of a difference is narrower than two independent ones would make it."""
    final = analysed.table("final").query("metric == 'accuracy' and algorithm == 'ppo' and model == 'plain'")
    width = (final.high - final.low).set_axis(final.priming)
    ours = next(r.ours for r in report.results if r.claim.id == "wrong_answers_prime_as_well")
    assert ours is not None
    apart = float((width["negative_only"] ** 2 + width["backtracking_verification"] ** 2) ** 0.5)
    assert ours.high - ours.low < 1.1 * apart


def test_a_claim_outside_the_matrix_is_reported_as_not_run(analysed: Analysed, tmp_path: Path) -> None:
    lines = [line for line in analysed.params.matrix if line.priming != "empty_cot"]
    params = analysed.params.model_copy(update={"matrix": lines})
    decide_claims(params, analysed.statistics, CLAIMS, tmp_path / "claims.json")
    by_id = {r.claim.id: r for r in load_report(tmp_path / "claims.json").results}
    absent = by_id["behaviors_beat_empty_cot"]
    assert (absent.verdict, absent.ours) == ("not_run", None)
    assert "plain/empty_cot/ppo" in absent.reason


def test_one_seed_is_never_enough_for_a_verdict(analysed: Analysed, tmp_path: Path) -> None:
    text = CLAIMS.read_text().replace("priming: length_matched_empty_cot", "priming: negative_only_give_up")
    (tmp_path / "claims.yaml").write_text(text)
    decide_claims(analysed.params, analysed.statistics, tmp_path / "claims.yaml", tmp_path / "claims.json")
    report = load_report(tmp_path / "claims.json")
    single = next(r for r in report.results if r.claim.worse.priming == "negative_only_give_up")
    assert single.ours is not None
    assert single.ours.low > 0.05
    assert single.verdict == "inconclusive"
    assert "single seed" in single.reason


def test_a_condition_in_the_matrix_but_not_in_the_tables_is_an_error(
    analysed: Analysed, tmp_path: Path
) -> None:
    table = analysed.table("per_problem")
    (tmp_path / "statistics").mkdir()
    table[table.priming != "empty_cot"].to_parquet(tmp_path / "statistics" / "per_problem.parquet")
    with pytest.raises(ArtifactError, match="plain/empty_cot/ppo"):
        decide_claims(analysed.params, tmp_path / "statistics", CLAIMS, tmp_path / "claims.json")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: superiority", "kind: superiorty", "kind"),
        ("minimal_effect: 0.05", "margin: 0.05", "minimal_effect"),
        ("metric: accuracy", "metric: accurracy", "choose one of accuracy"),
        ("priming: empty_cot", "priming: emty_cot", "priming"),
        ("id: behaviors_beat_empty_cot", "id: primed_beats_unprimed", "twice"),
        ("sentence:", "sentense:", "sentense"),
    ],
)
def test_a_wrong_claims_file_is_an_error_that_names_the_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "claims.yaml"
    text = CLAIMS.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ClaimError, match=message):
        load_claims(path)


def test_published_numbers_of_the_claims_are_those_of_the_data_file() -> None:
    last = {
        ("primed_beats_unprimed", "better"): ("Llama-3.2-3B", "backtracking_verification"),
        ("primed_beats_unprimed", "worse"): ("Llama-3.2-3B", "none"),
        ("behaviors_beat_empty_cot", "worse"): ("Llama-3.2-3B", "empty_cot"),
        ("behaviors_beat_length_matched_empty_cot", "worse"): ("Llama-3.2-3B", "length_matched_empty_cot"),
        ("wrong_answers_prime_as_well", "better"): ("Llama-3.2-3B", "negative_only"),
        ("wrong_answers_prime_as_well", "worse"): ("Llama-3.2-3B", "all_strategies"),
        ("searching_base_beats_plain_base", "better"): ("Qwen2.5-3B", "none"),
        ("searching_base_beats_plain_base", "worse"): ("Llama-3.2-3B", "none"),
    }
    claims = {claim.id: claim for claim in load_claims(CLAIMS)}
    for (claim, side), series in last.items():
        numbers = claims[claim].published
        assert numbers is not None
        assert getattr(numbers, side) == published_series(*series).accuracy.iloc[-1], (claim, side)
