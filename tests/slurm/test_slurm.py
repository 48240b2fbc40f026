"""The workflow through a real Slurm of one node (`make test-slurm`); jobs cancelled, too slow, or lost."""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster import Cluster, missing

from habits import jobs
from habits.cli import PRESETS

ROOT = Path(__file__).parents[2]
RUN = "plain/none/ppo_matched_tokens/seed1"
RL = f"results/rl/{RUN}"
STATE = f"scratch/{RL}/trainer.pt"
ASKED = {kind: {"gpus": 1, "memory_gb": 16, "hours": 4} for kind in ("sft", "rl", "rollouts", "labelling")}
ON_GPUS = {"sft", "rl", "rollouts", "transfer"}
WITH_LANGUAGE_MODELS = {"teaching", "judging", "calibration"}

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(
        bool(missing()), reason=f"needs Slurm and munge; not installed: {', '.join(missing())}"
    ),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip(
        "snakemake_executor_plugin_slurm", reason="needs the extra: pip install -e '.[slurm]'"
    )
    with Cluster(tmp_path_factory.mktemp("slurm") / "cluster") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke preset with few of its runs: each rule that asks no language model."""
    preset = yaml.safe_load((PRESETS / "smoke.yaml").read_text())
    preset["matrix"] = [
        {**preset["matrix"][1], "seeds": [1]},
        {"model": "plain", "priming": "backtracking_verification", "seeds": [1]},
        {"model": "plain", "priming": "pretraining_curated", "seeds": [1]},
        {"model": "social", "priming": "none", "seeds": [1]},
    ]
    preset["resources"] = ASKED
    path = tmp_path_factory.mktemp("settings") / "two_runs.yaml"
    path.write_text(yaml.safe_dump(preset))
    return path


class Workflow:
    """`snakemake --cores all --profile slurm` as typed in the repository; its files go to ``folder``."""

    def __init__(self, cluster: Cluster, settings: Path, folder: Path) -> None:
        self.cluster, self.settings, self.folder = cluster, settings, folder
        self.console = folder / "console.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Workflow":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start it; its messages go to ``console``. Status checks come sooner than a user would want them."""
        words = ["--cores", "all", "--profile", "slurm", "--slurm-init-seconds-before-status-checks", "2"]
        words += ["--configfile", str(self.settings), "--directory", str(self.folder), *options]
        kept = {
            k: v
            for k, v in self.cluster.environment.items()
            if k not in {jobs.WORKFLOW_PID, jobs.PARAMS_FILE}
        }
        with self.console.open("wb") as console:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *words],
                cwd=ROOT,
                env=kept | {"PYTHONPATH": str(ROOT / "workflow")},
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        return self.process

    def run(self, *options: str) -> int:
        return self.start(*options).wait()

    def rl_job(self) -> str:
        """Slurm's number of the RL job in the queue."""
        (number,) = self.cluster.ask("squeue", "-h", "-o", "%i").split()
        return number

    def rl_log(self) -> str:
        return (self.folder / f"logs/rl/{RUN}.log").read_text()


@pytest.fixture(scope="module")
def finished(
    cluster: Cluster, settings: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workflow]:
    """The whole chain, run through Slurm."""
    with Workflow(cluster, settings, tmp_path_factory.mktemp("chain")) as workflow:
        assert workflow.run() == 0, workflow.console.read_text()[-5000:]
        yield workflow


def requests(cluster: Cluster) -> dict[str, list[dict[str, str]]]:
    """What the jobs of each rule asked Slurm for."""
    found: dict[str, list[dict[str, str]]] = {}
    for line in cluster.ask("scontrol", "--oneliner", "show", "job").splitlines():
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        rule = fields["Comment"].removeprefix("rule_").split("_wildcards_")[0]
        found.setdefault(rule, []).append(fields)
    return found


def test_the_chain_runs_through_slurm(finished: Workflow) -> None:
    assert "</html>" in (finished.folder / "reports/index.html").read_text()
    rules = {path.stem for path in (ROOT / "workflow/rules").glob("*.smk")} - {"common"}
    rules -= WITH_LANGUAGE_MODELS
    assert set(requests(finished.cluster)) == rules, "each step is a job, none runs where the workflow does"


def test_gpu_rules_ask_for_gpus_and_no_other_rule_holds_one(finished: Workflow) -> None:
    profile = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    for rule, asked in requests(finished.cluster).items():
        for job in asked:
            if rule in ON_GPUS:
                gpus, memory, limit = "gres:gpu:1", 16_000, "04:00:00"
            else:
                gpus, memory, limit = None, profile["default-resources"]["mem_mb"], "01:00:00"
            assert job.get("TresPerJob") == gpus, rule
            assert job["TimeLimit"] == limit
            assert f"mem={memory}M" in job["TRES"]


def test_a_second_run_has_nothing_to_do(finished: Workflow, tmp_path: Path) -> None:
    with Workflow(finished.cluster, finished.settings, finished.folder) as again:
        again.console = tmp_path / "console.log"
        assert again.run() == 0
        assert "Nothing to be done" in again.console.read_text()


# Faults. Each strikes in the middle of RL, whose process is frozen after a save so that it cannot escape.


@pytest.fixture
def rl_only(finished: Workflow, tmp_path: Path) -> Iterator[Workflow]:
    """A working directory that has all that RL reads."""
    for name in (".snakemake/metadata", "data", "results/base_model"):
        shutil.copytree(finished.folder / name, tmp_path / name)
    settings = Path(shutil.copy(finished.settings, tmp_path))
    with Workflow(finished.cluster, settings, tmp_path) as workflow:
        yield workflow
    finished.cluster.clear()


def start_and_freeze(workflow: Workflow, *options: str) -> subprocess.Popen[bytes]:
    running = workflow.start(*options, "--rerun-triggers", "params", "code", "--", f"{RL}/rollouts.parquet")
    while not (workflow.folder / STATE).exists():
        assert running.poll() is None, workflow.console.read_text()[-5000:]
        time.sleep(0.005)
    for process in workflow.cluster.job_processes():
        if "rl" in process.cmdline():
            process.send_signal(signal.SIGSTOP)
    return running


def rerun(workflow: Workflow) -> int:
    return workflow.run("--rerun-triggers", "params", "code", "--", f"{RL}/rollouts.parquet")


def assert_resumed(workflow: Workflow, finished: Workflow) -> None:
    """RL went on from its last save, and ended with the bytes of an undisturbed run."""
    assert f"[rl {RUN}] goes on after" in workflow.rl_log()
    for name in ("rollouts.parquet", "metrics.parquet"):
        assert (workflow.folder / RL / name).read_bytes() == (finished.folder / RL / name).read_bytes(), name
    for weights in (finished.folder / RL).rglob("*.safetensors"):
        assert (workflow.folder / weights.relative_to(finished.folder)).read_bytes() == weights.read_bytes()


def test_a_cancelled_job_is_told_and_a_rerun_resumes(rl_only: Workflow, finished: Workflow) -> None:
    running = start_and_freeze(rl_only, "--retries", "0")
    rl_only.cluster.ask("scancel", rl_only.rl_job())
    assert running.wait(timeout=120) != 0
    assert re.search(r"SLURM-job '\d+' failed, SLURM status is: 'CANCELLED'", rl_only.console.read_text())
    assert not (rl_only.folder / RL / "rollouts.parquet").exists()
    assert rerun(rl_only) == 0, rl_only.console.read_text()
    assert_resumed(rl_only, finished)


def test_a_job_over_its_time_limit_is_told_and_resumes_by_itself(
    rl_only: Workflow, finished: Workflow
) -> None:
    """With the settings it was submitted with: an edit since then would start RL afresh."""
    running = start_and_freeze(rl_only)
    edited = yaml.safe_load(rl_only.settings.read_text())
    edited["rl"]["learning_rate"] *= 2
    rl_only.settings.write_text(yaml.safe_dump(edited))
    rl_only.cluster.ask("scontrol", "update", f"JobId={rl_only.rl_job()}", "EndTime=now")
    assert running.wait(timeout=300) == 0, rl_only.console.read_text()
    assert "SLURM status is: 'TIMEOUT'" in rl_only.console.read_text()
    assert_resumed(rl_only, finished)


def test_a_job_of_a_lost_node_is_told_and_resumes_by_itself(rl_only: Workflow, finished: Workflow) -> None:
    running = start_and_freeze(rl_only)
    number = rl_only.rl_job()
    rl_only.cluster.lose_node()
    rl_only.cluster.wait(lambda: "NODE_FAIL" in state(rl_only.cluster, number), "the loss", seconds=60)
    rl_only.cluster.start_node()
    assert running.wait(timeout=300) == 0, rl_only.console.read_text()
    assert "failed due to a node failure" in rl_only.console.read_text()
    assert_resumed(rl_only, finished)


def test_ctrl_c_takes_the_jobs_along(rl_only: Workflow, finished: Workflow) -> None:
    running = start_and_freeze(rl_only)
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=120) != 0
    rl_only.cluster.wait(lambda: not rl_only.cluster.ask("squeue", "-h"), "an empty queue")
    assert rerun(rl_only) == 0, rl_only.console.read_text()
    assert_resumed(rl_only, finished)


def state(cluster: Cluster, number: str) -> str:
    return cluster.ask("squeue", "-h", "--states", "all", "--jobs", number, "-o", "%T")
