"""Documents and shards: what was planted is recorded and found again, whatever the source and its size."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_corpus import DOCUMENTS, Made, settings

from habits.analysis.pretraining_statistics import write_pretraining_statistics
from habits.artifacts import ArtifactError
from habits.pretraining.cleaning import clean, cut, exact_key, signature, similarity
from habits.pretraining.corpus import write_shard
from habits.pretraining.documents import document
from habits.pretraining.sources import read_source
from habits.pretraining_params import CorpusSpec
from habits.priming.language import BEHAVIORS
from habits.priming.prose import count_words


def test_what_a_document_shows_is_recorded() -> None:
    documents = [document(9, index) for index in range(2000)]
    for behavior in BEHAVIORS:
        shown = np.mean([found.planted[behavior] > 0 for found in documents])
        assert 0.01 < shown < 0.4, behavior
    assert not any(found.planted for found in documents if not found.is_solution)
    copies = [found for found in documents if found.copy]
    assert {found.copy for found in copies} == {"exact", "near"}
    for found in copies[:20]:
        original = document(9, found.copied_from)
        assert found.planted == original.planted and found.text != original.text
        assert (exact_key(found.text) == exact_key(original.text)) == (found.copy == "exact")


@given(st.text(alphabet=st.characters(), max_size=300))
def test_cleaning_leaves_nothing_to_clean(text: str) -> None:
    once = clean(text)
    assert clean(once) == once and "\x00" not in once and "\n\n\n" not in once
    once.encode()  # no half of a surrogate pair is left


@given(st.lists(st.text("ab 1.\n", max_size=60), max_size=8), st.integers(1, 60))
def test_a_cut_ends_at_a_paragraph_and_within_the_budget(paragraphs: list[str], most: int) -> None:
    text = clean("\n\n".join(paragraphs))
    found = cut(text, most)
    assert text.startswith(found.text) or " ".join(text.split()).startswith(" ".join(found.text.split()))
    assert count_words(found.text) == found.tokens <= most
    first = text.split("\n\n")[0]
    if found.truncated and count_words(first) <= most:
        assert text[len(found.text) :].startswith("\n\n"), "whole paragraphs"


def test_signatures_estimate_similarity() -> None:
    rng = np.random.default_rng(1)
    words = [f"w{number}" for number in rng.integers(0, 10**6, 400)]
    for kept in (400, 390, 300, 0):
        other = words[:kept] + [f"v{number}" for number in rng.integers(0, 10**6, 400 - kept)]
        runs = [{" ".join(text[i : i + 5]) for i in range(396)} for text in (words, other)]
        exact = len(runs[0] & runs[1]) / len(runs[0] | runs[1])
        estimate = similarity(signature(" ".join(words)), signature(" ".join(other)))
        assert estimate == pytest.approx(exact, abs=0.2)


def test_every_planted_copy_is_found(made: Made) -> None:
    found = pd.read_parquet(made.repeated).set_index("document")
    planted = {i: d for i in range(DOCUMENTS) if (d := document(4, i)).copy}
    assert planted and set(planted) <= set(found.index), set(planted) - set(found.index)
    exact = {index for index, copy in planted.items() if copy.copy == "exact"}
    assert exact <= set(found.index[found["kind"] == "exact"])
    for index, row in found.iterrows():
        texts = [clean(document(4, place).text) for place in (index, row["repeats"])]
        assert (exact_key(texts[0]) == exact_key(texts[1])) == (row["kind"] == "exact")
    assert (found["repeats"] < found.index).all(), "the first one stays"
    extra = found.drop(index=list(planted))
    assert len(extra) < 0.03 * DOCUMENTS and (extra["similarity"] >= 0.8).all()


def test_repeated_documents_are_labelled_once(made: Made) -> None:
    labels = pd.concat(pd.read_parquet(path) for path in made.folder.glob("labels/embedded/*.parquet"))
    dropped = set(pd.read_parquet(made.repeated)["document"])
    assert len(labels) == DOCUMENTS - len(dropped) and not dropped & set(labels["document"])


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "jsonl.gz"])
def test_shards_of_files_are_their_rows_in_order(kind: str, tmp_path: Path) -> None:
    texts = [f"document {number} about {number * number}" for number in range(2500)]
    for part, start in enumerate(range(0, 2500, 900)):
        rows = texts[start : start + 900]
        if kind == "parquet":
            table = pa.table({"id": range(len(rows)), "body": rows})
            pq.write_table(table, tmp_path / f"part{part}.parquet", row_group_size=350)
        else:
            lines = "\n".join(json.dumps({"body": text}) + "\n" for text in rows)  # with empty lines
            packed = gzip.compress(lines.encode()) if kind.endswith("gz") else lines.encode()
            (tmp_path / f"part{part}.{kind}").write_bytes(packed)
    spec = CorpusSpec(source=str(tmp_path / f"*.{kind}"), text_column="body", documents=9999)
    for first, stop in ((0, 10), (340, 360), (890, 1910), (2400, 9999)):
        found = list(read_source(spec, first, stop))
        assert [source.text for source in found] == texts[first:stop]
        assert [source.index for source in found] == list(range(first, min(stop, 2500)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "one"}\n{"body": "two"}\n', r"a\.jsonl line 2: no object with the key 'text'"),
        ("a.jsonl", b'{"text": "one"}\n["two"]\n', r"a\.jsonl line 2: no object"),
        ("a.jsonl", b'{"text": "one"}\n\nx', r"a\.jsonl line 3: not JSON"),
        ("a.jsonl", b'{"text": "one"}\n{"text": "tw', r"a\.jsonl line 2: not JSON"),
        ("a.jsonl", b'{"text": "one"}\n{"text": "\xff"}\n', r"a\.jsonl line 2: not JSON"),
        ("a.jsonl.gz", gzip.compress(b'{"text": "one"}\n')[:-9], r"a\.jsonl\.gz: cannot be read"),
        ("a.parquet", b"PAR1 and no more", r"a\.parquet: cannot be read"),
        ("b.jsonl", b"", r"a\*: no such file; see pretraining\.corpora"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    asked = str(tmp_path / ("a*" if name == "b.jsonl" else name))
    with pytest.raises(ArtifactError, match=message):
        list(read_source(CorpusSpec(source=asked, documents=9), 0, 9))


def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "body": ["one"]}), tmp_path / "a.parquet")
    with pytest.raises(ArtifactError, match=r"no column 'text' \(text_column\), but id, body"):
        list(read_source(CorpusSpec(source=str(tmp_path / "a.parquet"), documents=9), 0, 9))


def test_a_killed_shard_leaves_nothing_and_comes_out_the_same(made: Made, tmp_path: Path) -> None:
    """And a shard does not depend on those before it."""
    out = tmp_path / "corpus/embedded/shard0001.parquet"
    script = (
        "from small_corpus import settings; from pathlib import Path\n"
        "from habits.pretraining.corpus import write_shard\n"
        f"write_shard(settings(), 'embedded', 1, Path({str(out)!r}))"
    )
    modules = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(modules)}
    child = subprocess.Popen([sys.executable, "-c", script], env=environment, cwd=tmp_path)
    while not list(tmp_path.glob("corpus/embedded/.*.part")) and child.poll() is None:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() in (0, -signal.SIGKILL)
    assert not out.exists() or out.read_bytes() == made.shards[1].read_bytes()
    write_shard(settings(), "embedded", 1, out)
    assert out.read_bytes() == made.shards[1].read_bytes()
    assert not list(out.parent.glob(".*.part"))


def test_statistics_are_those_of_all_labels_at_once(made: Made, tmp_path: Path) -> None:
    write_pretraining_statistics(
        made.params, made.folder / "labels", made.folder / "corpus", tmp_path / "out"
    )
    labels = pd.concat(pd.read_parquet(path) for path in made.folder.glob("labels/embedded/*.parquet"))
    shares = pd.read_parquet(tmp_path / "out/shares.parquet").set_index(["domain", "behavior", "metric"])[
        "mean"
    ]
    for domain, rows in [("all", labels), *labels.groupby("domain")]:
        for behavior in BEHAVIORS:
            counts = rows[behavior]
            assert shares[domain, behavior, "share"] == pytest.approx((counts > 0).mean())
            assert shares[domain, behavior, "mean_count"] == pytest.approx(counts.mean())
            rate = 1000 * counts.sum() / rows["n_tokens"].sum()
            assert shares[domain, behavior, "per_1000_tokens"] == pytest.approx(rate)
    together = pd.read_parquet(tmp_path / "out/together.parquet").set_index(["behavior", "other"])["share"]
    both = (labels["verification"] > 0) & (labels["backtracking"] > 0)
    assert together["verification", "backtracking"] == pytest.approx(both.mean())
    accuracy = pd.read_parquet(tmp_path / "out/accuracy.parquet").set_index(["behavior", "statistic"])[
        "value"
    ]
    assert (accuracy[:, "f1"] > 0.7).all() and (accuracy[:, "f1"] < 1).any(), "good rules, no oracle"
