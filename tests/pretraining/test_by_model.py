"""Language models as labeller and rewriter, against a server: their words are kept, and paid once."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from small_corpus import Made, settings

sys.path.insert(0, str(Path(__file__).parents[1] / "llm"))

from vendor_faults import Fault, first  # noqa: E402
from vendor_formats import Asked, Said  # noqa: E402
from vendor_server import VendorServer  # noqa: E402

from habits.analysis.cascade import write_cascade  # noqa: E402
from habits.cli import PRESETS  # noqa: E402
from habits.params import Params  # noqa: E402
from habits.pretraining.corpus import write_shard  # noqa: E402
from habits.pretraining.deduplication import write_duplicates  # noqa: E402
from habits.pretraining.labels import LabelError, write_labels  # noqa: E402
from habits.pretraining.rewriting import write_rewriting  # noqa: E402
from habits.pretraining.vllm_labeller import VllmFailedError  # noqa: E402
from habits.priming.language import BEHAVIORS  # noqa: E402

CANARY = "sk-canary-5f1e83b0a9d24c77"
NONE = Path("nowhere")  # no cascade
DOCUMENT = re.compile(r"<(document-[0-9a-f]{12})>\n(.*)\n</\1>", re.DOTALL)


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    monkeypatch.chdir(tmp_path)


def asking(server: VendorServer, batch: bool = False, **sections: dict[str, Any]) -> Params:
    llm = yaml.safe_load((PRESETS / "smoke.yaml").read_text())["llm"]
    llm["batch"] = batch
    for name, path in (("gpt-4o-mini", "/v1"), ("claude", "")):
        llm["models"][name] |= {"base_url": server.url + path, "api_key_env": "CANARY_KEY"}
    return settings(llm=llm, **sections)


def documents_of(shard: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    frame = pd.read_parquet(shard)
    return zip(frame["text"], frame["truth"], strict=True)


def truth_of(made: Made) -> dict[str, dict[str, Any]]:
    return dict(documents_of(made.shards[0]))


class Labeller:
    """Says what was planted; one document in ten gets no JSON, one in twenty is declined."""

    def __init__(self, truths: dict[str, dict[str, Any]], failures: bool = True) -> None:
        self.truths, self.failures = truths, failures

    def kind(self, text: str) -> str:
        if not self.failures:
            return "ok"
        number = sum(map(ord, text))
        return "unparsable" if number % 10 == 0 else "refused" if number % 20 == 5 else "ok"

    def __call__(self, asked: Asked) -> Said:
        found = DOCUMENT.search(asked.user)
        assert found and asked.user.startswith("<document-"), "the document first, the question last"
        text, truth = found[2], self.truths[found[2]]
        if self.kind(text) != "ok":
            said = self.kind(text) == "refused"
            return Said("I cannot help.", "refusal" if said else "end_turn")
        kind = {key: truth[key] for key in ("domain", "is_problem", "is_solution")}
        if "How often" in asked.user:
            behavior = next(b for b, words in QUESTIONS.items() if words in asked.user)
            return Said(f"I looked. <count> {truth[behavior]} </count>")
        if "count" not in asked.system and "Which" not in asked.user and "Does it pose" in asked.user:
            return Said(json.dumps(kind))
        quotes = {b: [text[:8], "never written"][: int(truth[b])] for b in BEHAVIORS}
        judgements = {b: {"evidence": quotes[b], "number": int(truth[b])} for b in BEHAVIORS}
        return Said(json.dumps(judgements | kind))


QUESTIONS = {
    "verification": "check own work",
    "backtracking": "a path fails",
    "subgoal_setting": "a smaller goal",
    "backward_chaining": "start at the goal",
}


@pytest.mark.parametrize(
    ("model", "calls", "batch"),
    [("gpt-4o-mini", "joint", True), ("claude", "joint", False), ("gpt-4o-mini", "separate", False)],
)
def test_labels_are_what_the_model_said(
    made: Made, tmp_path: Path, model: str, calls: str, batch: bool
) -> None:
    labeller = Labeller(truth_of(made))
    with VendorServer(labeller, key=CANARY) as server:
        labelling = {"labeller": model, "calls": calls, "max_failed_rate": 0.5}
        params = asking(server, batch, labelling=labelling)
        for name in ("first", "again"):
            write_labels(
                params, "embedded", 0, made.shards[0], made.repeated, NONE, tmp_path / f"{name}.parquet"
            )
        each = 1 if calls == "joint" else 5
        table = pd.read_parquet(tmp_path / "first.parquet")
        assert len(server.bill) == each * len(table) and not server.paid_twice()
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "first.parquet").read_bytes()
    texts = pd.read_parquet(made.shards[0]).set_index("document")
    for row in table.to_dict("records"):
        text, truth = texts.loc[row["document"], "text"], texts.loc[row["document"], "truth"]
        assert row["status"] == labeller.kind(text)
        if row["status"] != "ok":
            assert all(pd.isna(row[b]) for b in BEHAVIORS) and row["reason"]
            continue
        for key in (*BEHAVIORS, "domain", "is_problem", "is_solution"):
            assert row[key] == truth[key], key
        if calls == "joint":
            assert row["missing_quotes"] == sum(truth[b] >= 2 for b in BEHAVIORS)
    assert {"ok", "unparsable", "refused"} == set(table["status"])


def test_the_cascade_asks_about_a_sample_and_what_stays_open(tmp_path: Path) -> None:
    """Labels nearly as good as if the model had read every document, which it did not."""
    corpora = {"embedded": {"source": "generator", "documents": 2500, "seed": 6}}
    shard, repeated = (
        tmp_path / "corpus/embedded/shard0000.parquet",
        tmp_path / "deduplication/embedded.parquet",
    )
    pretraining = {"corpora": corpora, "shard_documents": 2500}
    write_shard(settings(pretraining=pretraining), "embedded", 0, shard)
    write_duplicates(settings(pretraining=pretraining), "embedded", shard.parents[1], repeated)
    labeller = Labeller(dict(documents_of(shard)), failures=False)
    with VendorServer(labeller, key=CANARY) as server:
        params = asking(
            server,
            pretraining=pretraining,
            labelling={"labeller": "gpt-4o-mini", "cascade": True},
            cascade={"sample": 400, "target_recall": 0.9, "target_precision": 0.9},
        )
        write_cascade(params, tmp_path, tmp_path / "cascade")
        sampled = len(server.bill)
        assert sampled == 800
        for name in ("first", "again"):
            out = tmp_path / f"{name}.parquet"
            write_labels(params, "embedded", 0, shard, repeated, tmp_path / "cascade", out)
        assert not server.paid_twice()
    table = pd.read_parquet(tmp_path / "first.parquet")
    by_model = table["rater"] == "gpt-4o-mini-2024-07-18/joint-1"
    assert set(table.loc[~by_model, "rater"]) == {"cascade/gpt-4o-mini-2024-07-18/joint-1"}
    measured = pd.read_parquet(tmp_path / "cascade/held_out.parquet").query("measure == 'asked'")
    expected = measured.set_index("strategy")["value"]["cascade"]
    assert by_model.mean() == pytest.approx(expected, abs=0.05) and 0 < expected < 0.5
    assert (table["replies"].str.len() == by_model).all()
    truth = pd.read_parquet(shard).set_index("document").loc[table["document"], "truth"]
    for targets in (BEHAVIORS, ("is_problem", "is_solution")):
        there = np.array([[planted[target] > 0 for target in targets] for planted in truth])
        found = (table[list(targets)] > 0).to_numpy()
        assert 2 * (found & there).sum() / (found.sum() + there.sum()) > 0.9, targets
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "first.parquet").read_bytes()


def test_too_many_failures_stop_the_cascade(made: Made, tmp_path: Path) -> None:
    labeller = Labeller({text: truth for path in made.shards for text, truth in documents_of(path)})
    with VendorServer(labeller, key=CANARY) as server:
        labelling = {"labeller": "gpt-4o-mini", "cascade": True, "max_failed_rate": 0.05}
        params = asking(server, labelling=labelling, cascade={"sample": 60})
        with pytest.raises(LabelError, match=r"cascade embedded: \d+ of 120 documents without labels"):
            write_cascade(params, made.folder, tmp_path / "cascade")
    assert not (tmp_path / "cascade").exists()


def test_too_many_failures_stop_a_shard_which_then_pays_only_for_what_is_missing(
    made: Made, tmp_path: Path
) -> None:
    out = tmp_path / "labels.parquet"
    labeller = Labeller(truth_of(made))
    with VendorServer(labeller, key=CANARY, fault=first(9, Fault("status", status=400))) as server:
        labelling = {"labeller": "gpt-4o-mini", "max_failed_rate": 0.0}
        with pytest.raises(LabelError, match=r"more than labelling\.max_failed_rate 0 allows"):
            write_labels(
                asking(server, labelling=labelling),
                "embedded",
                0,
                made.shards[0],
                made.repeated,
                NONE,
                out,
            )
        assert not out.exists()
        before = len(server.bill)
        lenient = asking(server, labelling=labelling | {"max_failed_rate": 0.5})
        write_labels(lenient, "embedded", 0, made.shards[0], made.repeated, NONE, out)
        assert len(server.bill) == before + 9 and not server.paid_twice()


def test_a_model_rewrites_and_every_row_is_checked(made: Made, tmp_path: Path) -> None:
    """Answers that the document does not hold, lost behaviors and lost tags have a status each."""

    def rewriter(asked: Asked) -> Said:
        found = DOCUMENT.search(asked.user)
        assert found
        text, number = found[2], sum(map(ord, found[2])) % 6
        answer = re.findall(r"\d+", text)[-1] if number else "123456789"
        thoughts = (
            "Wait, that doesn't work. Let me check: it is." if "Keep the whole" in asked.system else "So."
        )
        thoughts = "Plain." if number == 1 else thoughts
        whole = f"<question>{text[:40]}?</question><thoughts>{thoughts}</thoughts><answer>{answer}</answer>"
        return Said("<none/>" if number == 2 else whole.removesuffix("</answer>") if number == 3 else whole)

    folders = (made.folder / "corpus", made.folder / "labels", made.folder / "problems")
    with VendorServer(rewriter, key=CANARY) as server:
        rewriting = {"rewriter": "gpt-4o-mini", "max_row_tokens": 60, "length_tolerance": 40}
        params = asking(server, rewriting=rewriting)
        params = params.model_copy(update={"models": pretrained(params)})
        for name in ("first", "again"):
            write_rewriting(params, *folders, tmp_path / name)
        assert not server.paid_twice()
    accounts = pd.read_parquet(tmp_path / "first/accounting.parquet")
    curated = accounts[accounts["set"] == "pretraining_curated"].set_index("status")["documents"]
    assert (curated[["ok", "ungrounded", "behaviors_lost", "no_row", "tags_missing"]] > 0).all()
    for name in ("pretraining_curated", "pretraining_negative"):
        rows = pd.read_parquet(tmp_path / f"first/{name}.parquet")
        assert (rows["verdict"] == "not_graded").all() and (rows["reply"].str.len() == 64).all()
        assert (
            rows["response"].str.endswith("</answer>").all() and rows["prompt"].str.endswith("<think>").all()
        )
        again = (tmp_path / f"again/{name}.parquet").read_bytes()
        assert again == (tmp_path / f"first/{name}.parquet").read_bytes()


def pretrained(params: Params) -> dict[str, Any]:
    from habits.cluster_params import PretrainedModel

    model = PretrainedModel(pretrained="./model", revision=None, prompt_template="paper_base")
    return dict.fromkeys(params.models, model)


def test_vllm_goes_on_after_its_worker_died(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's real process with a stand-in for the engine; nothing that was answered is asked again."""
    (tmp_path / "site").mkdir()
    stub = (Path(__file__).parent / "vllm_stub.py").read_text()
    (tmp_path / "site/vllm").mkdir()
    (tmp_path / "site/vllm/__init__.py").write_text(stub)
    (tmp_path / "site/vllm/sampling_params.py").write_text(stub)
    empty = {b: {"evidence": [], "number": 1} for b in BEHAVIORS}
    said = empty | {"domain": "algebra", "is_problem": True, "is_solution": False}
    (tmp_path / "said.json").write_text(json.dumps(json.dumps(said)))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{Path(__file__).parents[2] / 'workflow'}")
    monkeypatch.setattr("habits.pretraining.vllm_labeller.PART", 100)
    params = settings(labelling={"labeller": "vllm", "model": "some/model"})
    out = tmp_path / "labels.parquet"
    with pytest.raises(VllmFailedError, match="code 9"):
        write_labels(params, "embedded", 0, made.shards[0], made.repeated, NONE, out)
    assert not out.exists()
    write_labels(params, "embedded", 0, made.shards[0], made.repeated, NONE, out)
    asked = (tmp_path / "asked").read_text().splitlines()
    table = pd.read_parquet(out)
    assert len(asked) == len(set(asked)) == len(table) and (table["verification"] == 1).all()
    assert set(table["rater"]) == {"some/model/joint-1"} and not list(tmp_path.glob("scratch/vllm/*"))
