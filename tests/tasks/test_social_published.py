"""The published Social IQa: read in each of its formats, checked row by row, cleaned, splits kept apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from habits.cli import PRESETS
from habits.params import validate
from habits.social_params import SocialIqa
from habits.tasks.social_iqa import published
from habits.tasks.social_iqa.problems import write_problems
from habits.tasks.social_iqa.published import PublishedError, read_published
from habits.tasks.social_iqa.task import make

# Rows of our own in the published format. The Hub's labels end in a line break.
COUNTS = {"train": 40, "validation": 12}


def row(number: int, label: Any = "2\n", **changes: str) -> dict[str, Any]:
    """Two questions a context, as in the published set."""
    fields = {
        "context": f"Kai gave friend {number // 2} a lift to the station.",
        "question": ("Why did Kai do this?", "How would you describe Kai?")[number % 2],
        "answerA": f"leave town {number}",
        "answerB": f"be kind {number}",
        "answerC": f"see a train {number}",
    }
    return {**fields, **changes, "label": label}


def rows(split: str) -> list[dict[str, Any]]:
    start = 0 if split == "train" else 1000
    return [row(start + n, f"{n % 3 + 1}") for n in range(COUNTS[split])]


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def settings(files: dict[str, Path] | None = None, **changes: Any) -> SocialIqa:
    given = {"source": "published", "files": files, "train": None, "validation": 8, "test": None}
    return SocialIqa.model_validate(given | {"reward": "code", "rl": {}, "seed": 3} | changes)


def in_files(folder: Path, train: list[dict[str, Any]], test: list[dict[str, Any]]) -> SocialIqa:
    files = {
        "train": write_lines(folder / "train.jsonl", train),
        "test": write_lines(folder / "dev.jsonl", test),
    }
    return settings(files)


def as_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    return write_lines(path.with_suffix(".jsonl"), lines)


def as_lines_and_labels(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.with_name(f"{path.name}-labels.lst").write_text("".join(f"{line['label']}\n" for line in lines))
    return write_lines(
        path.with_suffix(".jsonl"), [{k: v for k, v in line.items() if k != "label"} for line in lines]
    )


def as_parquet(path: Path, lines: list[dict[str, Any]]) -> Path:
    pd.DataFrame(lines).to_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


@pytest.mark.parametrize("write", [as_lines, as_lines_and_labels, as_parquet])
def test_the_set_is_read_from_files_in_each_published_format(write: Any, tmp_path: Path) -> None:
    files = {
        "train": write(tmp_path / "train", rows("train")),
        "test": write(tmp_path / "dev", rows("validation")),
    }
    found = read_published(settings(files)).problems
    assert {split: len(problems) for split, problems in found.items()} == {
        "train": 32,
        "test": 12,
        "validation": 8,
    }
    by_option = {p.options[1]: p.answer for problems in found.values() for p in problems}
    assert by_option == {r["answerB"]: int(r["label"]) - 1 for split in COUNTS for r in rows(split)}


def test_the_set_is_read_through_datasets_as_the_hub_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parquet revision of the repository has these folders and no card."""
    for split in COUNTS:
        (tmp_path / "default" / split).mkdir(parents=True)
        table = pd.DataFrame(rows(split)).assign(label=lambda frame: frame["label"] + "\n")
        table.to_parquet(tmp_path / f"default/{split}/0000.parquet")
    monkeypatch.setattr(published, "HUB", str(tmp_path))
    found = read_published(settings()).problems
    assert {split: len(problems) for split, problems in found.items()} == {
        "train": 32,
        "test": 12,
        "validation": 8,
    }


def test_what_cannot_be_had_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "HUB", str(tmp_path / "nowhere"))
    with pytest.raises(PublishedError, match=r"cannot be loaded.*social_iqa\.files, or use source: stories"):
        read_published(settings())
    with pytest.raises(PublishedError, match=r"gone\.jsonl: no such file"):
        read_published(settings({"train": tmp_path / "gone.jsonl", "test": tmp_path / "gone.jsonl"}))
    train = write_lines(tmp_path / "train.jsonl", rows("train"))
    with pytest.raises(PublishedError, match="at least train and test"):
        read_published(settings({"train": train}))
    with pytest.raises(PublishedError, match="no train question is left"):
        read_published(settings({"train": train, "test": train}))
    with pytest.raises(PublishedError, match="social_iqa.validation must be a number"):
        read_published(settings({"train": train, "test": train}, validation=None))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"label": "4"}, "label is '4'; it must be 1, 2 or 3"),
        ({"label": 0}, "label is 0; it must be 1, 2 or 3"),
        ({"label": True}, "label is True; it must be 1, 2 or 3"),
        ({"label": "B"}, "label is 'B'"),
        ({"label": None}, "label is None"),
        ({"answerC": ""}, "answerC is ''; it must be a text"),
        ({"question": None}, "question is None; it must be a text"),
        ({"context": 7}, "context is 7; it must be a text"),
    ],
)
def test_a_malformed_row_is_an_error_with_file_and_line(
    bad: dict[str, Any], message: str, tmp_path: Path
) -> None:
    lines = rows("validation")
    lines[6] |= bad
    with pytest.raises(PublishedError, match=rf"dev\.jsonl line 7: {message}"):
        read_published(in_files(tmp_path, rows("train"), lines))


@pytest.mark.parametrize(
    ("line", "message"), [("{", "line 3: not JSON"), ("[1]", "line 3: a JSON object must stand there")]
)
def test_a_line_that_is_no_row_is_an_error(line: str, message: str, tmp_path: Path) -> None:
    asked = in_files(tmp_path, rows("train"), rows("validation"))
    train = tmp_path / "train.jsonl"
    first, second, _ = train.read_text().split("\n", 2)
    train.write_text(f"{first}\n\n{line}\n{second}\n")
    with pytest.raises(PublishedError, match=message):
        read_published(asked)


def test_labels_of_another_number_of_rows_are_an_error(tmp_path: Path) -> None:
    train = as_lines_and_labels(tmp_path / "train", rows("train"))
    (tmp_path / "train-labels.lst").write_text("1\n2\n")
    with pytest.raises(PublishedError, match="2 labels for the 40 rows"):
        read_published(settings({"train": train, "test": train}))


def test_what_cannot_be_asked_is_removed_and_counted(tmp_path: Path) -> None:
    asked = in_files(
        tmp_path,
        [
            *rows("train"),
            row(0, "1", context="  Kai gave friend 0 a lift  to the station."),  # as row 0, but for spaces
            row(2, "1"),  # row 2 with another label: which of both holds?
            row(50, "1", answerA="Be kind 50"),  # the right option stands there twice
            row(52, "3", answerA="Be kind 52"),  # a wrong one does; that can be asked
        ],
        rows("validation"),
    )
    found = read_published(asked)
    assert found.removed["train"] == {
        "exact duplicate": 1,
        "two labels": 2,
        "right option stands there twice": 1,
        "context of an evaluation split": 0,
    }
    assert len(found.problems["train"]) + len(found.problems["validation"]) == 40 - 1 + 1
    assert found.removed["test"] == {}


def test_no_context_is_in_two_splits(tmp_path: Path) -> None:
    shared = [
        row(1000, "1", question="What will Kai want to do next?"),
        row(1001, "2", context="KAI GAVE friend 500 a lift to the station"),
    ]
    found = read_published(in_files(tmp_path, rows("train") + shared, rows("validation")))
    assert found.removed["train"]["context of an evaluation split"] == 2
    contexts = {
        split: {p.context.lower().rstrip(".") for p in problems} for split, problems in found.problems.items()
    }
    assert not contexts["train"] & contexts["test"] and not contexts["train"] & contexts["validation"]
    assert not contexts["validation"] & contexts["test"]
    keys = [p.key for problems in found.problems.values() for p in problems]
    assert len(keys) == len(set(keys))


def test_the_validation_split_is_the_same_each_time_and_of_the_asked_size(tmp_path: Path) -> None:
    asked = in_files(tmp_path, rows("train"), rows("validation"))
    once, again = read_published(asked), read_published(asked)
    assert once == again and len(once.problems["validation"]) == 8
    other = read_published(asked.model_copy(update={"seed": 4}))
    assert other.problems["validation"] != once.problems["validation"]


def test_the_step_writes_all_splits_in_verls_schema_and_says_what_it_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = yaml.safe_load((PRESETS / "paper.yaml").read_text())
    asked = in_files(tmp_path, [*rows("train"), rows("train")[0]], rows("validation"))
    raw["social_iqa"] |= {
        "source": "published",
        "files": {split: str(path) for split, path in (asked.files or {}).items()},
        **{"train": None, "validation": 8, "test": None},
    }
    params = validate(raw)
    write_problems(params, tmp_path / "out")
    assert "social_iqa train: 32 problems, 1 removed: exact duplicate" in capsys.readouterr().err
    for split, n in {"train": 32, "validation": 8, "test": 12}.items():
        table = pd.read_parquet(tmp_path / "out" / f"{split}.parquet")
        assert len(table) == n and set(table["data_source"]) == {"social_iqa"}
        assert {"prompt", "reward_model", "extra_info"} <= set(table.columns)
        sidecar = json.loads((tmp_path / "out" / f"{split}.parquet.provenance.json").read_text())
        assert sidecar["settings"]["removed"] == (
            {"exact duplicate": 1, "context of an evaluation split": 0} if split == "train" else {}
        )
    read = make(params, "paper_base").read(tmp_path / "out/test.parquet")
    assert {p.options[1] for p in read} == {r["answerB"] for r in rows("validation")}
