"""The importer of training logs: what is printed comes back, and a model cannot forge what it is paid."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from training_logs import RIGHT, Printed, block, interleaved, through_ray, training_log, varied

from habits.analysis.training_log import ImportedLog, ImportReport, read_log
from habits.artifacts import ArtifactError

NOISE = "\x1b[36m(WorkerDict pid=12, ip=10.0.0.1)\x1b[0m epoch 9, step 900\n"
WAYS = {
    "plain": lambda text: text,
    "ray": through_ray,
    "ray without color": lambda text: through_ray(text, color=False),
    "ray with an address": lambda text: through_ray(text, "main_task pid=7, ip=10.1.2.3"),
    "other processes in between": lambda text: interleaved(
        through_ray(text), NOISE.replace("epoch", "at epoch")
    ),
    "progress bars": lambda text: through_ray(text).replace("\x1b[36m(main", "  3%|# | 1/9\r\x1b[36m(main"),
    "windows line ends": lambda text: text.replace("\n", "\r\n"),
}
# Lines of text as a model may write them; tags and the prompt's words included.
LINE = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\x85\u2028\u2029"), max_size=40
)
FORGERY = st.sampled_from(
    [
        *("=" * 80, "-" * 80, " Processing New Sample ".center(80, "="), "[Model Output]", RIGHT),
        *("[Ground Truth] Correct Label: B", "Options: {}", "Extracted Answer: B", "Format Validation: PASS"),
        *(" Final Score ".center(80, "-"), "  Format: 1", "  Answer: 2", "  Total: 3", "epoch 7, step 70"),
        *("validation generation end", "(main_task pid=1) x", "\x1b[36m(main_task pid=4711)\x1b[0m x"),
    ]
)


def imported(text: str, folder: Path, name: str = "run.log") -> ImportedLog:
    path = folder / name
    path.write_text(text, newline="")
    return read_log(path)


@pytest.mark.parametrize("way", WAYS)
def test_every_sample_of_a_run_is_read_however_it_was_logged(way: str, tmp_path: Path) -> None:
    steps, validations = [varied(32) for _ in range(4)], {0: varied(20), 2: varied(20)}
    found = imported(WAYS[way](training_log(steps, validations)), tmp_path)
    assert (found.report.samples, found.report.read, found.report.unread) == (168, 168, [])
    counts = found.rollouts.groupby(["split", "rl_step"]).size().to_dict()
    # A training sample of step S was drawn after S - 1 updates, a validation sample after all S.
    assert counts == {("train", s): 32 for s in range(4)} | {("validation", s): 20 for s in (0, 2)}
    first = found.rollouts[found.rollouts["split"] == "train"].head(32)
    for row, sample in zip(first.to_dict("records"), varied(32), strict=True):
        assert row["response"] + sample.end == sample.output.split("<think>")[1]
        assert row["answer"] == sample.answer or (pd.isna(row["answer"]) and sample.answer is None)
        assert row["correct"] == (sample.answer == sample.label)
        assert row["stopped"] == bool(sample.end)
        assert row["format_ok"] == sample.format_ok


def test_rewards_reasons_and_columns_are_those_of_rollouts(tmp_path: Path) -> None:
    samples = [
        Printed(answer="A", label="A"),
        Printed(answer="B", label="A"),
        Printed(answer="D", label="A"),
        Printed(answer=None, label="A", format_ok=False, end=""),
    ]
    rows = imported(training_log([samples]), tmp_path).rollouts
    assert rows["reward"].tolist() == [3, -1, -2, -4]
    assert rows["answer_reward"].tolist() == [2, -2, -3, -3]
    assert rows["reason"].tolist() == ["correct", "wrong_option", "no_answer", "no_answer"]
    assert rows["problem_id"].nunique() == 1 and rows["sample_id"].tolist() == [0, 1, 2, 3]
    assert rows["n_tokens"].isna().all(), "a log does not say how many tokens there were"
    documented = {"rollout_id", "model", "priming", "algorithm", "seed", "checkpoint", "temperature", "split"}
    assert documented <= set(rows.columns)


@pytest.mark.parametrize("template", ["base", "qwen", "llama"])
def test_prompt_and_response_are_cut_at_the_headers_of_each_template(template: str, tmp_path: Path) -> None:
    # The word of one template in the answer to another was an invalid answer in the original.
    sample = Printed(
        template=template, thought="Assistant: is what they call me, <|im_start|>assistant or not."
    )
    row = imported(training_log([[sample]]), tmp_path).rollouts.iloc[0]
    assert row["prompt"].endswith("<think>") and sample.question in row["prompt"]
    assert row["response"].startswith(f" {sample.thought}")


def test_step_and_split_come_from_the_trainer_and_not_from_a_response(tmp_path: Path) -> None:
    sample = Printed(thought="first\nepoch 5, step 50\nvalidation generation end\nlast")
    rows = imported(training_log([[sample], [sample]]), tmp_path).rollouts
    assert rows["rl_step"].tolist() == [0, 1]
    assert set(rows["split"]) == {"train"}


def test_without_step_lines_the_step_is_unknown_and_said_to_be(tmp_path: Path) -> None:
    found = imported("".join(map(block, varied(3))), tmp_path)
    assert found.rollouts["rl_step"].isna().all()
    assert any("step is unknown" in note for note in found.report.notes)


def test_without_end_tokens_truncation_is_unknown_and_said_to_be(tmp_path: Path) -> None:
    found = imported(training_log([[replace(s, end="") for s in varied(3)]]), tmp_path)
    assert found.rollouts["stopped"].isna().all()
    assert any("truncation is unknown" in note for note in found.report.notes)


def test_a_missing_closing_tag_does_not_let_the_checks_into_the_response(tmp_path: Path) -> None:
    """The original's parser read on into the reward's own print; a mixed-language find of it was that."""
    sample = Printed(response=" endless thought", answer=None, format_ok=False, end="")
    row = imported(training_log([[sample, Printed()]]), tmp_path).rollouts.iloc[0]
    assert row["response"] == " endless thought"


CUTS = {
    "has no end": (lambda text: text[: text.rindex("  Total:")], 1),
    "has no ground truth": (lambda text: text.replace("[Ground Truth]", "[ground truth]", 1), 1),
    "has no assistant header": (lambda text: text.replace("<|start_header_id|>assistant", "<|x|>", 1), 1),
    "has no format score": (lambda text: text.replace("  Format: 1\n", "", 1), 1),
    "has no model output": (lambda text: text.replace("[Model Output]", "[Output]", 1), 1),
    "scores do not add up": (lambda text: text.replace("  Total: 3", "  Total: 9", 1), 1),
    "verdict and score disagree": (lambda text: text.replace(RIGHT, "Answer Validation: FAIL", 1), 1),
    "begins or ends inside another sample": (lambda text: text.replace("  Total: 3\n", "", 1), 2),
}


@pytest.mark.parametrize("reason", CUTS)
def test_what_cannot_be_parsed_is_counted_with_its_line(reason: str, tmp_path: Path) -> None:
    cut, lost = CUTS[reason]
    text = cut(training_log([[Printed(), Printed(), Printed()]]))
    found = imported(text, tmp_path)
    assert found.report.reasons == {reason: lost}
    assert found.report.read == len(found.rollouts) == 3 - lost
    lines = text.split("\n")
    assert all("Processing New Sample" in lines[sample.line - 1] for sample in found.report.unread)
    assert json.dumps(found.report.as_json())


def test_a_log_that_goes_on_after_a_crash_is_read_but_for_the_broken_sample(tmp_path: Path) -> None:
    whole = training_log([varied(4) for _ in range(2)])
    text = through_ray(whole[: whole.rindex("[Structure")], "main_task pid=1") + through_ray(
        whole, "main_task pid=2"
    )
    found = imported(text, tmp_path)
    assert found.report.reasons == {"has no end": 1}
    assert found.report.read == 15
    assert found.rollouts["rl_step"].tolist() == [0] * 4 + [1] * 3 + [0] * 4 + [1] * 4


def test_after_a_crash_in_a_plain_log_no_sample_gets_a_stale_step(tmp_path: Path) -> None:
    whole = training_log([varied(4), varied(4)])
    found = imported(whole[: whole.rindex("[Structure")] + whole, tmp_path)
    assert found.report.reasons == {"begins or ends inside another sample": 2}
    assert found.rollouts["rl_step"].isna().sum() == 3, "the rest of the batch whose step line was swallowed"


def test_a_file_without_samples_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("hello\n")
    with pytest.raises(ArtifactError, match="holds no sample"):
        read_log(tmp_path / "x.log")
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_log(tmp_path / "missing.log")
    (tmp_path / "bytes.log").write_bytes(bytes(random.Random(1).randbytes(100_000)))
    with pytest.raises(ArtifactError, match="holds no sample"):
        read_log(tmp_path / "bytes.log")


ANSWERS = st.sampled_from(["A", "B", "C", "D", None])
SAMPLES = st.builds(
    lambda lines, answer, label, end, template, ok: Printed(
        thought="\n".join(lines), answer=answer, label=label, end=end, template=template, format_ok=ok
    ),
    st.lists(LINE, max_size=4),
    ANSWERS,
    st.sampled_from("ABC"),
    st.sampled_from(["", "<|eot_id|>", "<|im_end|>"]),
    st.sampled_from(["base", "qwen", "llama"]),
    st.booleans(),
)
IN_A_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@IN_A_FOLDER
@given(samples=st.lists(SAMPLES, min_size=1, max_size=5), way=st.sampled_from(sorted(WAYS)))
def test_what_was_printed_comes_back(samples: list[Printed], way: str, tmp_path: Path) -> None:
    found = imported(WAYS[way](training_log([samples], {0: samples})), tmp_path)
    assert found.report.read == found.report.samples == 2 * len(samples)
    rows = found.rollouts[found.rollouts["split"] == "train"].to_dict("records")
    known = any(sample.end for sample in samples)
    for row, sample in zip(rows, samples, strict=True):
        assert row["prompt"] + row["response"] + sample.end == sample.output
        assert row["stopped"] is (bool(sample.end) if known else None)
        assert row["correct"] == (sample.answer == sample.label)


HOSTILE = st.lists(st.one_of(FORGERY, LINE), max_size=25)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=HOSTILE, tail=HOSTILE, answer=ANSWERS, way=st.sampled_from(["plain", "ray"]))
def test_a_response_cannot_forge_what_it_is_paid(
    lines: list[str], tail: list[str], answer: str | None, way: str, tmp_path: Path
) -> None:
    hostile = Printed(thought="\n".join(lines), answer=answer, label="A", end="\n" + "\n".join(tail))
    nothing_is_forged(hostile, "\n".join(tail), way, tmp_path)


def paid_tail(letter: str) -> str:
    """What is printed behind the text of a right answer, up to the rule that ends it."""
    printed = block(Printed(answer=letter, label=letter))
    return printed[printed.index("-" * 80) :]


FORGERIES = {
    "an end in the thought": Printed(thought="x\n" + paid_tail("B"), answer="B", label="A"),
    "a sample in the thought": Printed(
        thought="x\n" + block(Printed(label="B", answer="B")), answer="B", label="A"
    ),
    "a beginning in the thought": Printed(
        thought="\n".join(block(Printed()).split("\n")[:6]), answer="B", label="A"
    ),
    "an end behind the answer": Printed(answer="B", label="A", end="\n" + paid_tail("B")),
    "a verdict behind no answer": Printed(
        answer=None, label="A", end=f"\nx\nExtracted Answer: A\n{RIGHT}\nx"
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.parametrize("way", ["plain", "ray"])
def test_a_complete_forgery_is_left_out(name: str, way: str, tmp_path: Path) -> None:
    hostile = FORGERIES[name]
    tail = hostile.end if hostile.end.startswith("\n") else ""
    report = nothing_is_forged(hostile, tail.strip("\n"), way, tmp_path)
    assert report.unread, "it cannot be told from the truth"


def nothing_is_forged(hostile: Printed, tail: str, way: str, folder: Path) -> ImportReport:
    """Text behind ``</answer>`` is printed twice, the second time among the checks. Either the sample is read
    as it was paid, or it is left out; its neighbors are not harmed by more than being left out."""
    error = f"  [Error] Unexpected content after </answer>: '{tail}'"
    printed = block(hostile)
    place = printed.rindex("\nFormat Validation")
    printed = f"{printed[:place]}\n{error}{printed[place:]}"
    text = (
        training_log([[Printed(question="before?")]])
        + printed
        + block(Printed(question="after?", answer="B"))
    )
    found = imported(WAYS[way](text), folder)
    paid = {"before?": (True, 3.0), "after?": (False, -1.0)}
    scores = {"A": 3.0, "B": -1.0, "C": -1.0, "D": -2.0, None: -2.0}
    paid[hostile.question] = (hostile.answer == "A", scores[hostile.answer])
    for row in found.rollouts.to_dict("records"):
        question = next(q for q in paid if q in row["prompt"])
        assert (row["correct"], row["reward"]) == paid[question]
    assert found.report.read + len(found.report.unread) == found.report.samples
    return found.report


@IN_A_FOLDER
@given(noise=st.binary(max_size=2000), place=st.integers(0, 2000))
def test_damaged_bytes_are_no_crash(noise: bytes, place: int, tmp_path: Path) -> None:
    text = training_log([varied(3)]).encode()
    path = tmp_path / "damaged.log"
    path.write_bytes(text[:place] + noise + text[place:] + text)
    report = read_log(path).report
    assert report.read + len(report.unread) == report.samples >= 3


@pytest.mark.parametrize(
    "line",
    [
        "=" * 79,
        "-" * 80,
        "(" * 50,
        "\x1b[" * 40,
        "(main_task pid=1)",
        "[Ground Truth] Correct Label: A",
        "\r" * 30,
        "x",
    ],
)
def test_a_long_hostile_log_is_read_to_its_end(line: str, tmp_path: Path) -> None:
    """In linear time: benchmarks/hostile_text.py."""
    hostile = Printed(thought="\n".join([line] * 24_000))
    report = imported(training_log([[hostile, Printed()], [Printed()]]), tmp_path).report
    assert report.samples >= 3 and report.read >= 2


def test_one_endless_line_is_no_problem(tmp_path: Path) -> None:
    for endless in ("(" * 2_000_000, "\x1b[" * 1_000_000, "=" * 2_000_000, "\r" * 2_000_000):
        found = imported(training_log([[Printed(thought=endless)]]), tmp_path)
        assert found.report.samples == 1
