"""Snakemake and DVC as one: what a run records, what a clone that pulled it concludes, what it notices."""

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from checkout import (
    ROOT,
    assert_nothing_to_do,
    changed_phases,
    clone,
    edit,
    flip,
    git_commit,
    planned,
    run,
    succeed,
    write_checkout,
)
from habits import sources
from habits.cli import PRESETS
from habits.llm.requests import Reply, Request, Usage
from habits.llm.store import Record, ReplyStore
from habits.params import Params

AFTER_RL = {"rl", "rollouts", "behaviors", "statistics", "analyses", "claims", "figures", "report"}
AFTER_ROLLOUTS = AFTER_RL - {"rl", "rollouts"}
TABLES = ("results/statistics", "results/analyses", "results/pretraining_statistics", "results/cascade")
ROLLOUTS = "results/rollouts/plain/none/ppo/seed1.parquet"


@pytest.fixture
def pulled(original: Path, tmp_path: Path) -> Path:
    return clone(original, tmp_path / "clone")


@pytest.fixture(scope="module")
def untouched(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pulled clone for tests that leave it as it was."""
    return clone(original, tmp_path_factory.mktemp("untouched") / "clone")


# dvc.yaml and the rules


def stages() -> dict[str, dict]:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def phases() -> dict[str, dict]:
    """The stages that run rules: all but ``replies``, whose folder any rule may add to."""
    return {name: stage for name, stage in stages().items() if name != "replies"}


def outputs_of(phase: dict) -> list[str]:
    return [next(iter(out)) for out in phase["outs"]]


def rules_of(phase: dict) -> list[str]:
    """A rule has the name of the folder that it writes."""
    return ["report" if out == "reports" else Path(out).name for out in outputs_of(phase)]


def test_each_rule_is_in_one_phase() -> None:
    rules = sorted(p.stem for p in (ROOT / "workflow/rules").glob("*.smk") if p.stem != "common")
    assert sorted(rule for phase in phases().values() for rule in rules_of(phase)) == rules, (
        "outs of dvc.yaml"
    )


@pytest.mark.parametrize("name", list(phases()))
def test_a_phase_runs_its_rules_and_those_before(name: str, tmp_path: Path) -> None:
    names = list(phases())
    rules = {rule for before in names[: names.index(name) + 1] for rule in rules_of(phases()[before])}
    options = phases()[name]["cmd"].removeprefix("snakemake --cores all").split()
    smoke = ("--configfile", PRESETS / "smoke.yaml", "--directory", tmp_path)
    plan = planned(ROOT, *options, *smoke, "--config", "teacher=claude", "judge=gpt-4o-mini")
    assert set(plan) == rules, f"cmd of phase {name} in dvc.yaml"


def test_no_folder_of_a_run_is_outside_the_phases(original: Path) -> None:
    made = {f"{root}/{path.name}" for root in ("data", "results") for path in (original / root).iterdir()}
    assert made | {"reports"} == {folder for stage in stages().values() for folder in outputs_of(stage)}


@pytest.mark.parametrize("name", list(phases()))
def test_a_phase_declares_all_settings_that_its_steps_read(name: str) -> None:
    rules = [ROOT / f"workflow/rules/{rule}.smk" for rule in rules_of(phases()[name])]
    text = "".join(path.read_text() for path in rules)
    read = set(re.findall(r'"(\w+)', " ".join(re.findall(r"settings\((.+)\)", text))))
    for module in re.findall(r'fingerprint\("([\w.]+)"\)', text):
        for file in sources.reached(module):
            read |= set(re.findall(r"\bparams\.(\w+)", file.read_text())) if file.suffix == ".py" else set()
    read = {"matrix" if section == "runs" else section for section in read} & set(Params.model_fields)
    assert read <= set(phases()[name]["params"])


def test_phases_read_what_earlier_phases_write(original: Path) -> None:
    """The inputs of all jobs, from Snakemake's own records, against ``deps``."""
    declared = {name: set(phase["deps"]) for name, phase in phases().items()}
    owner = {folder: name for name, phase in phases().items() for folder in outputs_of(phase)}
    manifest = json.loads((original / "reports/MANIFEST.json").read_text())
    for output, entry in manifest.items():
        phase = next(name for folder, name in owner.items() if Path(output).is_relative_to(folder))
        read = {"/".join(Path(name).parts[:2]) for name in entry["inputs"]}
        missing = {folder for folder in read & set(owner) if owner[folder] != phase} - declared[phase]
        assert not missing, f"phase {phase} of dvc.yaml lacks deps {missing}"


# A run and its record


def test_a_run_of_snakemake_is_recorded_by_dvc(original: Path) -> None:
    assert changed_phases(original) == set()
    lock = yaml.safe_load((original / "dvc.lock").read_text())["stages"]
    assert {out["path"] for stage in lock.values() for out in stage["outs"]} == {
        folder for stage in stages().values() for folder in outputs_of(stage)
    }


def test_no_second_copy_of_the_data_lies_around(original: Path) -> None:
    files = [path for path in original.glob("results/rl/**/*") if path.is_file()]
    alone = [path.name for path in files if path.stat().st_nlink == 1]
    assert files and set(alone) == {".snakemake_timestamp"}


@pytest.mark.slow
def test_no_file_of_the_cache_is_written_through(pulled: Path) -> None:
    edit(pulled, "rl.learning_rate", 0.0003)
    succeed(pulled, "snakemake", "--cores", "all")
    cached = [path for path in (pulled / ".dvc/cache/files/md5").glob("??/*") if path.suffix != ".dir"]
    assert cached
    for path in cached:
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        assert digest == path.parent.name + path.name
    assert_nothing_to_do(pulled)


def test_a_run_with_settings_from_elsewhere_is_not_recorded(pulled: Path) -> None:
    before = (pulled / "dvc.lock").read_text()
    succeed(pulled, "snakemake", "--cores", "all", "--config", "preset=other")
    assert (pulled / "dvc.lock").read_text() == before
    assert changed_phases(pulled) == {"report"}


@pytest.mark.slow
def test_without_git_and_dvc_the_workflow_just_runs(tmp_path: Path) -> None:
    write_checkout(tmp_path)
    shutil.rmtree(tmp_path / ".dvc")
    succeed(tmp_path, "snakemake", "--cores", "all")
    assert not (tmp_path / "dvc.lock").exists()
    assert planned(tmp_path) == {}


# A clone that pulled


def test_a_fresh_clone_that_pulled_has_nothing_to_do(untouched: Path) -> None:
    assert_nothing_to_do(untouched)
    assert "up to date" in succeed(untouched, "dvc", "repro")


def test_benchmarks_of_an_earlier_run_make_nothing_old(untouched: Path) -> None:
    """An experiment that was applied is newer than what the workspace's own last run left in logs/."""
    manifest = json.loads((untouched / "reports/MANIFEST.json").read_text())
    try:
        for log in {log for entry in manifest.values() for log in entry["record"]["log"]}:
            benchmark = (untouched / log).with_suffix(".tsv")
            benchmark.parent.mkdir(parents=True, exist_ok=True)
            benchmark.touch()
            os.utime(benchmark, (1, 1))
        assert_nothing_to_do(untouched)
    finally:
        shutil.rmtree(untouched / "logs")


def test_a_deleted_figure_is_drawn_again_alone(pulled: Path) -> None:
    (pulled / "results/figures/plain_vs_searching.svg").unlink()
    assert planned(pulled) == {"figures": 1, "report": 1}
    succeed(pulled, "snakemake", "--cores", "all")
    assert_nothing_to_do(pulled)


def test_an_edited_setting_reruns_its_descendants_in_both(untouched: Path) -> None:
    kept = (untouched / "params.yaml").read_text()
    edit(untouched, "rl.learning_rate", 0.0003)
    try:
        assert set(planned(untouched)) == AFTER_RL
        assert changed_phases(untouched) == {"training", "measurement", "analysis", "report"}
    finally:
        (untouched / "params.yaml").write_text(kept)
    assert_nothing_to_do(untouched)


def test_a_flipped_byte_is_named_and_restored(pulled: Path) -> None:
    flip(pulled / ROLLOUTS)
    refused = run(pulled, "snakemake", "--dry-run")
    assert refused.returncode != 0 and ROLLOUTS in refused.stdout
    assert changed_phases(pulled) >= {"measurement"}
    succeed(pulled, "dvc", "checkout", "--force", "--quiet")
    assert_nothing_to_do(pulled)


def test_an_accepted_change_reruns_exactly_its_descendants(pulled: Path) -> None:
    flip(pulled / ROLLOUTS)
    succeed(pulled, sys.executable, "-m", "habits.cli", "accept", ROLLOUTS)
    plan = planned(pulled)
    assert set(plan) == AFTER_ROLLOUTS and plan["behaviors"] == 1


def test_small_tables_are_enough_to_draw_every_figure(original: Path, tmp_path: Path) -> None:
    sparse = clone(original, tmp_path / "sparse", *TABLES)
    assert not (sparse / "results/rl").exists()
    plan = planned(sparse, "all_figures")
    assert set(plan) == {"figures"}
    succeed(sparse, "snakemake", "--cores", "all", "all_figures")
    assert (sparse / "results/figures/plain_vs_searching.svg").exists()
    edit(sparse, "rl.learning_rate", 0.0003)
    assert "rl" in planned(sparse, "all_figures"), "a clone without checkpoints knows how they were made"


# Experiments


def test_an_experiment_runs_what_depends_on_its_setting_and_can_be_undone(pulled: Path) -> None:
    text = succeed(pulled, "dvc", "exp", "run", "-S", "statistics.bootstrap=100")
    assert set(re.findall(r"Rule: (\w+)", text)) - {"all"} <= AFTER_ROLLOUTS - {"behaviors"}
    assert planned(pulled) == {}
    assert "statistics.bootstrap" in succeed(pulled, "dvc", "params", "diff")
    assert "plain/none/ppo" in succeed(pulled, "dvc", "metrics", "show")
    succeed(pulled, "dvc", "plots", "show", "--out", "plots")
    assert "accuracy" in (pulled / "plots/index.html").read_text()
    succeed(pulled, "git", "reset", "--quiet", "--hard")
    succeed(pulled, "dvc", "checkout", "--quiet")
    assert_nothing_to_do(pulled)


@pytest.mark.slow
def test_queued_and_temporary_experiments_leave_the_workspace_alone(pulled: Path) -> None:
    succeed(pulled, "dvc", "exp", "run", "--temp", "-n", "aside", "-S", "rl.learning_rate=0.0003")
    assert_nothing_to_do(pulled)
    succeed(pulled, "dvc", "exp", "run", "--queue", "-n", "later", "-S", "statistics.bootstrap=100")
    succeed(pulled, "dvc", "exp", "run", "--run-all")
    shown = succeed(pulled, "dvc", "exp", "show", "--csv")
    assert "aside" in shown and "later" in shown
    succeed(pulled, "dvc", "exp", "apply", "aside")
    assert_nothing_to_do(pulled)
    assert yaml.safe_load((pulled / "params.yaml").read_text())["rl"]["learning_rate"] == 0.0003


# Replies of language models


REQUESTS = [Request("openai", "m", f"question {number}", 9) for number in range(4)]


def pay(folder: Path, number: int, *, killed: bool = False) -> None:
    """Store a reply as a step does that nobody has recorded yet."""
    store = ReplyStore(folder / "data/replies")
    reply = Reply(f"reply {number}", "end_turn", Usage(), "id", "m")
    store.add([Record(REQUESTS[number], reply, f"payment {number}", 1.0, "rule", 0.1, False)])
    if not killed:
        store.close()


def paid(folder: Path) -> set[int]:
    stored = ReplyStore(folder / "data/replies").get(request.key for request in REQUESTS)
    return {number for number, request in enumerate(REQUESTS) if request.key in stored}


def test_replies_are_recorded_pushed_and_pulled(pulled: Path, tmp_path: Path) -> None:
    """Also those of a process that was killed; and recording them is not a reason to run anything."""
    pay(pulled, 0)
    pay(pulled, 1, killed=True)
    succeed(pulled, "habits", "record")
    assert_nothing_to_do(pulled)
    assert not list((pulled / "data/replies").glob("*.new.parquet"))
    assert all(path.stat().st_nlink > 1 for path in (pulled / "data/replies").glob("*.parquet"))
    git_commit(pulled)
    succeed(pulled, "dvc", "push", "--quiet")
    far = clone(pulled, tmp_path / "far")
    assert paid(far) == {0, 1}
    assert_nothing_to_do(far)


def test_replies_that_nobody_recorded_survive_whatever_dvc_restores(pulled: Path) -> None:
    pay(pulled, 0)
    succeed(pulled, "habits", "record")
    pay(pulled, 1)
    pay(pulled, 2, killed=True)
    succeed(pulled, "dvc", "checkout", "--force", "--quiet")
    assert_nothing_to_do(pulled)
    succeed(pulled, "dvc", "exp", "run", "--quiet", "-S", "statistics.bootstrap=100")
    assert paid(pulled) == {0, 1, 2}
    assert changed_phases(pulled) == set()
    assert "up to date" in succeed(pulled, "dvc", "repro")
    succeed(pulled, "git", "reset", "--quiet", "--hard")
    succeed(pulled, "dvc", "checkout", "--quiet")
    succeed(pulled, "dvc", "exp", "apply", succeed(pulled, "dvc", "exp", "list", "--name-only").strip())
    assert paid(pulled) == {0, 1, 2}, "an experiment brings its replies back"


@pytest.mark.slow
def test_an_experiment_in_a_folder_of_its_own_starts_with_the_recorded_replies(pulled: Path) -> None:
    pay(pulled, 0)
    succeed(pulled, "habits", "record")
    git_commit(pulled)
    succeed(pulled, "dvc", "exp", "run", "--temp", "-n", "aside", "-S", "statistics.bootstrap=100")
    assert paid(pulled) == {0}
    succeed(pulled, "dvc", "exp", "apply", "aside")
    assert paid(pulled) == {0}


def test_a_record_that_fails_leaves_new_replies_hidden_from_dvc(pulled: Path) -> None:
    pay(pulled, 0)
    (pulled / "dvc.yaml").write_text("stages: [broken]")
    assert "habits record" in run(pulled, "habits", "record").stdout
    (name,) = (path.name for path in (pulled / "data/replies").iterdir())
    assert name.endswith(".new.parquet") and paid(pulled) == {0}
