"""Rewriting: rows that say what their document says, in matched pairs, and none that evaluation knows."""

from collections import Counter
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_corpus import Made, settings

from habits.behaviors.oracle import count_behaviors_in
from habits.mistakes import ParamsError
from habits.models.vocabulary import WORDS
from habits.pretraining.pairing import Candidate, pair
from habits.pretraining.puzzles import searched, straight
from habits.pretraining.retelling import retell
from habits.pretraining.rewriting import RewritingError, write_rewriting
from habits.pretraining.rewriting_by_model import read_parts
from habits.pretraining.rows import SETS, grounded
from habits.priming.language import BEHAVIORS
from habits.priming.priming import write_priming
from habits.tasks.countdown import Problem, grade
from habits.tasks.countdown.table import read_problems


@pytest.fixture(scope="module")
def rewritten(made: Made) -> dict[str, pd.DataFrame]:
    out = made.folder / "rewriting"
    write_rewriting(
        made.params, made.folder / "corpus", made.folder / "labels", made.folder / "problems", out
    )
    return {name: pd.read_parquet(out / f"{name}.parquet") for name in SETS}


def test_a_retold_search_shows_what_was_planted() -> None:
    """Read back from the English alone; the oracle counts consecutive returns once, as it always does."""
    for seed in range(300):
        told = searched(Random(seed))
        retold = retell(f"{told.statement} {' '.join(told.solution)}")
        assert retold is not None, told
        found = count_behaviors_in(retold.thought, retold.problem.numbers, retold.problem.target).counts
        for behavior in set(BEHAVIORS) - {"backtracking"}:
            assert found[behavior] == told.planted[behavior], (behavior, told, retold)
        assert (found["backtracking"] > 0) == (told.planted["backtracking"] > 0)


def test_a_retold_path_shows_no_behavior() -> None:
    for seed in range(300):
        told = straight(Random(seed))
        retold = retell(f"{told.statement} {' '.join(told.solution)}")
        assert retold is not None
        found = count_behaviors_in(retold.thought, retold.problem.numbers, retold.problem.target)
        assert not any(found.counts.values()), (told, retold)


@given(st.text("abc .,?0123456789()+-*/=\n<>", max_size=200), st.integers(0, 50))
def test_retelling_takes_any_text(noise: str, seed: int) -> None:
    told = straight(Random(seed))
    retell(noise)
    retell(f"{told.statement} {noise} {' '.join(told.solution)} {noise}")


def test_the_sets_are_matched(rewritten: dict[str, pd.DataFrame], made: Made) -> None:
    curated, negative = (rewritten[name] for name in SETS)
    assert len(curated) == len(negative) > 20
    assert (curated["pair"] == negative["pair"]).all() and (curated["domain"] == negative["domain"]).all()
    apart = (curated["n_tokens"] - negative["n_tokens"]).abs()
    assert apart.max() <= made.params.rewriting.length_tolerance
    for rows in rewritten.values():
        assert rows["n_tokens"].sum() <= made.params.rewriting.tokens
        assert rows["response"].is_unique


def test_rows_are_whole_grounded_and_of_their_kind(rewritten: dict[str, pd.DataFrame], made: Made) -> None:
    texts = pd.concat(pd.read_parquet(path) for path in made.shards).set_index("document")["text"]
    for name, rows in rewritten.items():
        for row in rows.to_dict("records"):
            assert row["response"].count("</think>") == row["response"].count("</answer>") == 1
            assert set(f"{row['prompt']} {row['response']}".split()) <= set(WORDS)
            answer = row["response"].partition("<answer>")[2]
            assert grounded(answer, texts[row["document"]])
            shown = count_behaviors_in(row["response"], list(row["numbers"]), row["target"]).counts
            assert shown == {behavior: row[behavior] for behavior in BEHAVIORS}
            assert any(shown.values()) == (name == "pretraining_curated")
            problem = Problem(tuple(int(number) for number in row["numbers"]), row["target"])
            assert row["verdict"] == grade(row["response"], problem).reason


def test_no_row_has_the_numbers_of_an_evaluation_problem(
    rewritten: dict[str, pd.DataFrame], made: Made
) -> None:
    evaluation = {
        tuple(sorted(problem.numbers))
        for split in ("validation", "test")
        for problem in read_problems(made.folder / f"problems/{split}.parquet")
    }
    for rows in rewritten.values():
        assert not evaluation & {tuple(sorted(numbers)) for numbers in rows["numbers"]}
    accounts = pd.read_parquet(made.folder / "rewriting/accounting.parquet")
    assert accounts.loc[accounts["status"] == "leaked", "documents"].sum() > 0, "else nothing was tested"


def test_too_few_documents_are_told(made: Made, tmp_path: Path) -> None:
    params = settings(rewriting={"min_behaviors": 500})
    folders = (made.folder / "corpus", made.folder / "labels", made.folder / "problems")
    with pytest.raises(RewritingError, match=r"rewriting\.min_behaviors"):
        write_rewriting(params, *folders, tmp_path / "out")


def test_seeds_of_a_set_hold_the_same_rows_in_another_order(
    rewritten: dict[str, pd.DataFrame], made: Made, tmp_path: Path
) -> None:
    traces = []
    for seed in (1, 2):
        out = tmp_path / f"seed{seed}.parquet"
        rows = made.folder / "rewriting"
        write_priming(made.params, "pretraining_curated", seed, tmp_path, tmp_path, rows, out)
        traces.append(pd.read_parquet(out))
    assert set(traces[0]["response"]) == set(rewritten["pretraining_curated"]["response"])
    assert list(traces[0]["response"]) != list(traces[1]["response"])
    assert Counter(traces[0]["response"]) == Counter(traces[1]["response"])


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 40)), max_size=30),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 40)), max_size=30),
    st.integers(1, 8),
    st.integers(1, 300),
)
def test_pairs(curated: list, negative: list, tolerance: int, budget: int) -> None:
    rows = [[Candidate(i, *row) for i, row in enumerate(part)] for part in (curated, negative)]
    pairs = pair(*rows, tolerance, budget)
    assert len({p.curated for p in pairs}) == len({p.negative for p in pairs}) == len(pairs)
    for p in pairs:
        one, other = rows[0][p.curated], rows[1][p.negative]
        assert one.domain == other.domain and abs(one.tokens - other.tokens) <= tolerance
    for side, chosen in zip(rows, ([p.curated for p in pairs], [p.negative for p in pairs]), strict=True):
        assert sum(side[place].tokens for place in chosen) <= budget


WHOLE = "<question>Q 7</question>\n<thoughts>T < 3</thoughts> <answer>7</answer>"


@pytest.mark.parametrize(
    "reply",
    [
        WHOLE.replace("</answer>", ""),
        WHOLE + " and more",
        WHOLE + WHOLE,
        WHOLE.replace("T < 3", "T </think> 3"),
        WHOLE.replace("T < 3", " "),
        WHOLE.replace("question", "thoughts"),
        "",
        "<question>" * 50_000,
    ],
)
def test_a_reply_without_all_of_its_tags_is_no_row(reply: str) -> None:
    assert read_parts(WHOLE) is not None
    assert read_parts(reply) is None


def test_the_settings_must_fit(made: Made) -> None:
    with pytest.raises(ParamsError, match="choose symbolic, vllm, or of llm.models"):
        settings(rewriting={"rewriter": "nobody"})
    with pytest.raises(ParamsError, match="rewriting.corpora"):
        settings(rewriting={"corpora": []})
    with pytest.raises(ParamsError, match="choose rules, vllm"):
        settings(labelling={"labeller": "nobody"})
    with pytest.raises(ParamsError, match="set labelling.cascade to false"):
        settings(labelling={"cascade": True})
