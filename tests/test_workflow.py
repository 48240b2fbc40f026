"""The workflow: clean by Snakemake's own checks, and run from end to end at tiny sizes."""

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import yaml

import browsing
from habits import jobs, sources, workdir
from habits.cli import PRESETS
from habits.figures import available_figures
from habits.params import Params, load
from habits.priming.sets import REWRITTEN, demonstrations_for
from habits.report.experiments import EXPERIMENTS
from habits.report.pages import pages_of

ROOT = Path(__file__).parents[1]
SMOKE = PRESETS / "smoke.yaml"
CHECKOUT = ("Snakefile", "params.yaml", "profiles", "workflow", "envs")
RULES = sorted(path for path in (ROOT / "workflow/rules").glob("*.smk") if path.stem != "common")
RUN = "plain/none/ppo_matched_tokens/seed1"


def command(*options: str | Path, checkout: Path = ROOT) -> list[str]:
    snakefile = ["--snakefile", checkout / "Snakefile"]
    return [str(word) for word in (sys.executable, "-m", "snakemake", *snakefile, "--cores", "all", *options)]


def clean_environment(checkout: Path = ROOT) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in {jobs.WORKFLOW_PID, jobs.PARAMS_FILE}}
    return kept | {"PYTHONPATH": str(checkout / "workflow")}


def snakemake(*options: str | Path, checkout: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A Snakemake call; its console output, both streams, is in ``stdout``."""
    return subprocess.run(
        command(*options, checkout=checkout),
        cwd=checkout,
        env=clean_environment(checkout),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def planned(*options: str | Path, checkout: Path = ROOT) -> dict[str, int]:
    """Jobs that a dry run announces: rule -> count."""
    run = snakemake("--dry-run", *options, checkout=checkout)
    assert run.returncode == 0, run.stdout
    if "Nothing to be done" in run.stdout:
        return {}
    table = run.stdout.split("Job stats:\n")[1].split("\n\n")[0]
    counts = dict(re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE))
    return {rule: int(count) for rule, count in counts.items() if rule not in {"total", "all"}}


AFTER_STATISTICS = {"statistics", "claims", "figures", "report"}
AFTER_COUNTDOWN = AFTER_STATISTICS | {"rl", "rollouts", "behaviors", "analyses"}
AFTER_SOCIAL = {"rl", "rollouts", "transfer", "social_statistics", "analyses", "figures", "report"}
AFTER_RL = AFTER_COUNTDOWN | AFTER_SOCIAL


# Checks of the workflow's text


def analysis_folders() -> list[str]:
    """The folders of figures and tables: what the analysis phase of dvc.yaml writes."""
    phase = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["analysis"]
    return [next(iter(out)) for out in phase["outs"]]


def test_lint_is_clean() -> None:
    run = snakemake("--lint")
    assert run.returncode == 0 and "in a good condition" in run.stdout, run.stdout


@pytest.mark.parametrize("preset", ["laptop", "paper", "single_gpu"])
def test_a_plan_has_a_job_for_everything_in_the_matrix(preset: str, tmp_path: Path) -> None:
    params = load(PRESETS / f"{preset}.yaml")
    primed = {(run.model, run.priming, run.seed) for run in params.runs if run.priming != "none"}
    runs, social = len(params.only("countdown").runs), len(params.only("social_iqa").runs)
    shards = sum(len(params.pretraining.shards(corpus)) for corpus in params.pretraining.corpora)
    expected = {
        "problems": 2 if social else 1,
        "corpus": shards,
        "deduplication": len(params.pretraining.corpora),
        "labels": shards,
        "pretraining_statistics": 1,
        "cascade": 1,
        "leakage": 1,
        "base_model": len({run.model for run in params.runs}),
        "priming": len({(priming, seed) for _, priming, seed in primed}),
        "quality": 1,
        "sft": len(primed),
        "rl": runs + social,
        "rollouts": runs + social,
        "behaviors": runs,
        "statistics": 1,
        "analyses": 1,
        "claims": 1,
        "figures": len(available_figures(params)),
        "report": 1,
    }
    if social:
        sets = {line.problems for line in params.transfer} - {"countdown"}
        expected |= {"maths": len(sets), "transfer": social, "social_statistics": 1}
    if made_from_documents := {priming for _, priming, _ in primed} & set(REWRITTEN):
        expected["rewriting"] = 1
    if params.teacher != "symbolic":
        taught = {priming for _, priming, _ in primed} - made_from_documents
        expected["teaching"] = len({demonstrations_for(priming) for priming in taught})
    if params.judge != "none":
        expected |= {"judging": runs, "calibration": 1}
    assert planned("--configfile", PRESETS / f"{preset}.yaml", "--directory", tmp_path) == expected


def test_an_llm_teacher_is_asked_once_a_set_whatever_the_seeds(tmp_path: Path) -> None:
    params = load(PRESETS / "laptop.yaml")
    sets = {demonstrations_for(run.priming) for run in params.runs if run.priming not in ("none", *REWRITTEN)}
    options = ("--configfile", PRESETS / "laptop.yaml", "--directory", tmp_path)
    plan = planned(*options, "--config", "teacher=claude")
    assert plan.pop("teaching") == len(sets) == 7
    assert plan == planned(*options)


def test_gpu_jobs_ask_for_what_the_preset_says(tmp_path: Path) -> None:
    run = snakemake("--dry-run", "--configfile", PRESETS / "paper.yaml", "--directory", tmp_path)
    asked = re.findall(r"Job \d+: (\w+)\b.* \[(.*)\]", run.stdout)
    assert set(asked) == {
        ("sft", "4 GPUs, 128000 MB, 120 min"),
        ("rl", "4 GPUs, 256000 MB, 2880 min"),
        ("rollouts", "1 GPUs, 64000 MB, 480 min"),
        ("transfer", "1 GPUs, 64000 MB, 480 min"),
        ("labels", "2 GPUs, 128000 MB, 1440 min"),
        ("rewriting", "2 GPUs, 128000 MB, 1440 min"),
    }


def test_a_judge_is_asked_about_every_run_and_only_if_there_is_one(tmp_path: Path) -> None:
    params = load(PRESETS / "laptop.yaml").only("countdown")
    options = ("--configfile", PRESETS / "laptop.yaml", "--directory", tmp_path)
    plan = planned(*options, "--config", "judge=gpt-4o-mini")
    assert plan.pop("judging") == len(params.runs) and plan.pop("calibration") == 1
    without = planned(*options)
    assert plan == without | {"figures": without["figures"] + 2}


def test_the_graph_is_printed(tmp_path: Path) -> None:
    run = snakemake("--dag", "--directory", tmp_path)
    assert run.returncode == 0 and "digraph snakemake_dag" in run.stdout, run.stdout


def test_the_workflow_catalog_finds_what_it_looks_for(tmp_path: Path) -> None:
    """Its settings, its page of words, and a main file that makes the same plan."""
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"} and usage["report"] is True
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda"}
    assert (ROOT / "config/README.md").exists()
    options = ("--configfile", SMOKE, "--directory", tmp_path)
    assert planned("--snakefile", ROOT / "workflow/Snakefile", *options) == planned(*options)


def test_an_unknown_key_stops_the_workflow_with_the_choices(tmp_path: Path) -> None:
    run = snakemake("--dry-run", "--directory", tmp_path, "--config", "rl={stepps: 3}")
    assert run.returncode != 0
    assert "rl.stepps is not a setting; known here: algorithm, steps" in run.stdout
    assert "did you mean steps?" in run.stdout


def test_rules_keep_one_form() -> None:
    """Each rule: its own file and name, one call of the command line, message, log and benchmark."""
    included = re.findall(r'include: "(.+)"', (ROOT / "Snakefile").read_text())
    assert sorted(included) == sorted(
        ["workflow/rules/common.smk", *(str(path.relative_to(ROOT)) for path in RULES)]
    )
    for path in RULES:
        text = path.read_text()
        assert re.findall(r"^rule (\w+):", text, flags=re.MULTILINE) == [path.stem]
        assert f'"habits {path.stem} ' in text and text.count("habits ") == 1
        keys = re.findall(r"^    (\w+):", text, flags=re.MULTILINE)
        order = ["input", "output", "log", "benchmark", "priority", "localrule", "conda"]
        order += ["threads", "resources", "params", "message", "shell"]
        assert {"log", "benchmark", "message"} <= set(keys)
        log, benchmark = re.search(r"log:\s+(.+)\.log\",\s+benchmark:\s+(.+)\.tsv\"", text).groups()
        assert log == benchmark, "habits.manifests takes the benchmark to lie beside the log"
        assert sorted(keys, key=order.index) == keys, path


TASKS = ("tasks.countdown.task", "tasks.social_iqa.task")
CODE = {  # which of them is decided by the settings
    "base_model": [
        *("models.base_model", "models.pretrained"),
        *("models.countdown_corpus", "models.social_iqa_corpus"),
    ],
    "sft": ["training.sft", "training.verl.sft"],
    "rl": ["training.rl", "training.verl.rl", *TASKS],
    "rollouts": ["rollouts.rollouts", *TASKS],
    "problems": ["tasks.countdown.problems", "tasks.social_iqa.problems"],
    "figures": ["figures"],
}
DECLARES = {
    "model_settings": {"models", "priming", "countdown", "maths", "runtime"},
    "problem_settings": {"countdown", "social_iqa"},
    "task_settings": {"models", "reward", "social_iqa"},
    "instructions": {"models", "priming", "teaching", "countdown"},
    "corpus_settings": {"pretraining"},
    "sft_settings": {"sft", "pretraining_sft"},
    "LABELLER": {"llm"},
    "REWRITER": {"llm"},
    "rl_settings": {"rl"},
    "rollout_settings": {"rollouts"},
    "TEMPLATES": {"models"},
    "TEACHER": {"teacher", "llm"},
    "JUDGE": {"judge", "llm"},
    "judge_for": {"judge", "llm"},
    "TINY_MODELS": {"models"},
    "ANALYSIS": {"matrix", "statistics", "rl"},
    "SOCIAL_ANALYSIS": {"matrix", "statistics", "rl", "transfer"},
    "analysis_of_figure": {"matrix", "statistics", "rl", "social_iqa", "transfer"},
    "PARAMS.model_dump_json()": set(Params.model_fields),
}


@pytest.mark.parametrize("rule", [path.stem for path in RULES])
def test_a_rule_declares_all_settings_that_its_code_reads(rule: str) -> None:
    """Else a changed setting would leave stale results: every ``params.section`` in reach is looked up."""
    text = (ROOT / f"workflow/rules/{rule}.smk").read_text()
    declared = set().union(*(sections for word, sections in DECLARES.items() if f"={word}," in text))
    for call in re.findall(r"settings\((.+)\)", text):
        declared |= {key.split(".")[0] for key in re.findall(r'"([\w.]+)"', call)}
    modules = re.findall(r'fingerprint\("([\w.]+)"\)', text) or CODE[rule]
    reached = {file for module in modules for file in sources.reached(module)}
    code = [file.read_text() for file in reached if file.suffix == ".py"]
    read = {name for source in code for name in re.findall(r"\bparams\.(\w+)", source)}
    read = {"matrix" if name == "runs" else name for name in read} & set(Params.model_fields)
    assert read <= declared


@pytest.mark.parametrize("folder", analysis_folders())
def test_every_figure_and_table_is_marked_for_snakemakes_own_report(folder: str) -> None:
    text = (ROOT / f"workflow/rules/{Path(folder).name}.smk").read_text()
    (marked,) = re.findall(r"report\((.+?)\n        \)", text, flags=re.DOTALL)
    assert f'"{folder}' in marked and "category=" in marked and "labels=" in marked
    (caption,) = re.findall(r'caption="\.\./(report/\w+\.rst)"', marked)
    assert (ROOT / "workflow" / caption).read_text().strip()


# Locks


def test_a_lock_left_by_a_dead_workflow_is_removed(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    workdir.enter(tmp_path).close()
    assert not (tmp_path / "locks").exists()


def test_the_locks_of_a_live_workflow_stay(tmp_path: Path) -> None:
    with workdir.enter(tmp_path):
        (tmp_path / "locks").mkdir()
        workdir.enter(tmp_path).close()
        assert (tmp_path / "locks").exists()


# Settings


def test_a_job_on_a_cluster_keeps_the_settings_it_was_submitted_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It parses the Snakefile when it starts; params.yaml may have been edited by then."""
    smoke = load(SMOKE)
    monkeypatch.setenv(jobs.PARAMS_FILE, str(workdir.write_settings(smoke, tmp_path)))
    assert workdir.handed_down() == smoke
    monkeypatch.delenv(jobs.PARAMS_FILE)
    assert workdir.handed_down() is None


# The whole chain


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which the smoke preset has run; HABITS_SMOKE names one to bring up to date."""
    folder = Path(os.environ.get("HABITS_SMOKE") or tmp_path_factory.mktemp("smoke"))
    run = snakemake("--configfile", SMOKE, "--directory", folder)
    assert run.returncode == 0, run.stdout[-5000:]
    return folder


def test_everything_is_there(finished: Path) -> None:
    params = load(SMOKE)
    for run in params.runs:
        steps = params.rl_settings(params.runs[run])
        saved = {path.name for path in (finished / "results/rl" / run.path / "checkpoints").glob("step*")}
        assert saved == {f"step{k}" for k in range(0, steps.steps + 1, steps.save_every)}
        rollouts = pd.read_parquet(finished / f"results/rollouts/{run.path}.parquet")
        own, usual = params.runs[run].samples, params.rollouts
        samples = own * len(saved) if own else usual.samples * (len(saved) - 1) + usual.last_samples
        assert len(rollouts) == samples * usual.problems
        if run in params.only("countdown").runs:
            behaviors = pd.read_parquet(finished / f"results/behaviors/{run.path}.parquet")
            assert set(behaviors["rollout_id"]) == set(rollouts["rollout_id"])
    assert all((finished / f"results/figures/{name}.svg").exists() for name in available_figures(params))
    assert (finished / "results/claims/claims.json").exists()
    assert "</html>" in (finished / "reports/index.html").read_text()
    assert not (finished / "params.yaml").exists(), "a preset replaces params.yaml without writing one"


def test_rl_was_paid_and_learned_something(finished: Path) -> None:
    metrics = pd.concat(pd.read_parquet(path) for path in (finished / "results/rl").rglob("metrics.parquet"))
    assert metrics["reward"].gt(0).mean() > 0.5, "else the tiny run would test nothing of RL"
    assert metrics["grad_norm"].gt(0).mean() > 0.5


def test_every_artifact_tells_what_made_it(finished: Path) -> None:
    made = [*finished.glob("data/**/*.parquet"), *finished.glob("results/[rb]*/**/seed*.parquet")]
    assert made
    assert all(path.with_name(f"{path.name}.provenance.json").exists() for path in made)


def test_a_second_run_has_nothing_to_do(finished: Path) -> None:
    run = snakemake("--configfile", SMOKE, "--directory", finished)
    assert "Nothing to be done" in run.stdout, run.stdout


@pytest.mark.skipif(browsing.CHROMIUM is None, reason=browsing.MISSING)
def test_any_point_of_a_figure_leads_to_its_rollouts_and_to_what_made_it(finished: Path) -> None:
    """In three clicks, without an error or a request on the way."""
    pages = [page.file for page in pages_of(load(SMOKE))]
    with browsing.browsing(finished / "reports") as site:
        for page in pages:
            site.open(page)
        assert browsing.walk(site, [e.file for e in EXPERIMENTS if e.file in pages], most=50) == 50
        assert site.complaints == []


def test_snakemakes_own_report_shows_every_figure_and_table(finished: Path, tmp_path: Path) -> None:
    """And needs no network: the scripts of its page come with the package."""
    zipped = tmp_path / "report.zip"
    run = snakemake("--configfile", SMOKE, "--directory", finished, "--report", zipped)
    assert run.returncode == 0 and "download" not in run.stdout, run.stdout
    with zipfile.ZipFile(zipped) as archive:
        page = archive.read("report/report.html").decode()
        held = {Path(name).name for name in archive.namelist()}
    start = re.search(r'results = (?={"results/)', page).end()
    shown, _ = json.JSONDecoder().raw_decode(page, start)
    tables = {path.name for path in (finished / "results/statistics").glob("*.parquet")}
    figures = {f"{name}.svg" for name in available_figures(load(SMOKE))}
    assert tables and figures and tables | figures | {"claims.json"} <= held
    assert all(entry["caption"] and entry["labels"] for entry in shown.values())
    for path, entry in shown.items():
        if path.endswith(".svg"):
            words = json.loads((finished / path).with_suffix(".json").read_text())
            assert entry["labels"] == {"figure": words["title"]}
            said = html.unescape(re.sub("<[^>]+>", "", entry["caption"]))
            assert said.split() == words["caption"].split(), "all of it, without errors of markup"


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ("rl={critic_learning_rate: 0.001}", AFTER_RL),
        ("reward={well_formed: 0.2}", AFTER_COUNTDOWN | {"transfer", "social_statistics"}),
        ("social_iqa={reward: readme}", AFTER_SOCIAL),
        ("social_iqa={rl: {learning_rate: 0.001}}", AFTER_SOCIAL),
        ("sft={epochs: 1}", AFTER_COUNTDOWN | {"sft"}),
        ("priming={traces: 80}", AFTER_COUNTDOWN | {"base_model", "priming", "quality", "leakage", "sft"}),
        ("teaching={temperature: 0.7}", {"report"}),
        ("rollouts={problems: 8}", AFTER_RL - {"rl"}),  # transfer takes its batch size and split from there
        ("statistics={bootstrap: 100}", AFTER_STATISTICS | {"analyses", "social_statistics"}),
        ("preset=renamed", {"report"}),
    ],
)
def test_a_changed_setting_reruns_what_depends_on_it(finished: Path, change: str, rules: set[str]) -> None:
    plan = planned("--configfile", SMOKE, "--directory", finished, "--config", change)
    assert set(plan) == rules


def test_a_setting_of_one_model_or_run_touches_no_other(finished: Path, tmp_path: Path) -> None:
    searching = planned(
        "--configfile", SMOKE, "--directory", finished, "--config", "models={searching: {steps: 500}}"
    )
    assert (searching["base_model"], searching["rl"]) == (1, 1)
    settings = yaml.safe_load(SMOKE.read_text())
    settings["matrix"][1]["rl"]["steps"] = 15
    settings["matrix"][3]["seeds"] = [1, 2, 3]
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    plan = planned("--configfile", tmp_path / "changed.yaml", "--directory", finished)
    assert (plan["rl"], plan["rollouts"], plan["sft"], plan["priming"]) == (2, 2, 1, 1)
    assert "base_model" not in plan


@pytest.mark.parametrize(
    ("file", "rules"),
    [
        ("training/rl.py", AFTER_RL),
        ("analysis/statistics.py", AFTER_STATISTICS | {"social_statistics"}),
        ("tasks/social_iqa/stories.py", AFTER_SOCIAL | {"problems", "base_model"}),
        ("analysis/aha_words.py", {"analyses", "social_statistics", "figures", "report"}),
        ("report/templates/base.html", {"report"}),
        ("progress.py", set()),
    ],
)
def test_edited_code_reruns_what_uses_it(finished: Path, tmp_path: Path, file: str, rules: set[str]) -> None:
    for name in CHECKOUT:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, tmp_path / name)
    edited = tmp_path / "workflow/habits" / file
    edited.write_text(
        edited.read_text() + ("\nEDITED = True\n" if file.endswith(".py") else "<!-- edited -->\n")
    )
    plan = planned("--configfile", SMOKE, "--directory", finished, checkout=tmp_path)
    # These read files of the checkout (claims, published numbers), and the other checkout has other paths.
    elsewhere = {"claims", "social_statistics", "figures", "report"}
    assert set(plan) - elsewhere == rules - elsewhere
    assert rules <= set(plan)


def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(finished: Path, tmp_path: Path) -> None:
    """SIGKILL for the workflow in the middle of RL; a plain rerun needs no unlocking and resumes."""
    for name in (".snakemake/metadata", "data", "results/base_model"):
        shutil.copytree(finished / name, tmp_path / name, symlinks=True)
    target = f"results/rl/{RUN}/rollouts.parquet"
    options = (
        "--configfile",
        SMOKE,
        "--directory",
        tmp_path,
        "--rerun-triggers",
        "params",
        "code",
        "--",
        target,
    )
    state = tmp_path / "scratch/results/rl" / RUN / "trainer.pt"
    with (tmp_path / "first.log").open("w") as log:
        first = subprocess.Popen(
            command(*options), env=clean_environment(), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )
        while not state.exists() and first.poll() is None:
            time.sleep(0.005)
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert state.exists(), (tmp_path / "first.log").read_text()
    assert not (tmp_path / target).exists()

    second = snakemake(*options)
    assert second.returncode == 0, second.stdout[-5000:]
    assert f"[rl {RUN}] goes on after" in second.stdout, second.stdout
    folder = Path(target).parent
    for name in ("rollouts.parquet", "metrics.parquet"):
        assert (tmp_path / folder / name).read_bytes() == (finished / folder / name).read_bytes(), name
    for weights in (finished / folder / "checkpoints").rglob("*.safetensors"):
        assert (tmp_path / weights.relative_to(finished)).read_bytes() == weights.read_bytes()
