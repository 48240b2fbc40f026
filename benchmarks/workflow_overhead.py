"""What the workflow itself costs: a run with nothing to do, DVC's record of a run, and the start of each job.

Runs the graph of the laptop preset, and one of about 1,000 jobs, in throw-away checkouts whose steps take no
time (tests/quick_steps.py) but write models of the real size. Times are wall seconds and processor seconds
(user + system, children included), the best of REPEATS except for runs. Beside other work (load_average) wall
seconds mean little; compare with snakemake_alone, a finished workflow of one rule, measured in between.
Writes benchmarks/results/workflow_overhead.json.

    python benchmarks/workflow_overhead.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import checkout  # noqa: E402

RESULT = ROOT / "benchmarks/results/workflow_overhead.json"
REPEATS = 5
SEEDS = 200  # five jobs each, and the shared ones: about 1,000
MODEL_BYTES = 2_400_000  # 0.6 million parameters in float32
LAPTOP_JOBS = 3145  # processor seconds of all jobs of the laptop preset (docs/log.md, the whole matrix)
# Of rules whose module depends on the task, the trainer or the figure.
MODULES = {
    "problems": "tasks.countdown.problems",
    "base_model": "models.base_model",
    "sft": "training.sft",
    "rl": "training.rl",
    "rollouts": "rollouts.rollouts",
    "figures": "figures.accuracy_over_steps",
}
RECORD = (sys.executable, "-m", "habits.cli", "record")
CORES = ("snakemake", "--cores", "all")


@dataclass(frozen=True)
class Cost:
    """Seconds of one command."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Graph:
    """Costs of a graph whose steps take no time, and the space that its results take."""

    jobs: dict[str, int]
    run: Cost
    record: Cost
    record_again: Cost
    nothing_to_do_snakemake: Cost
    snakemake_alone: Cost
    nothing_to_do_dvc: Cost
    results_megabytes: float
    with_cache_megabytes: float


def main() -> None:
    """Measure both graphs and the start of every step."""
    laptop = yaml.safe_load((ROOT / "workflow/presets/laptop.yaml").read_text())
    line = {"model": "plain", "priming": "backtracking_verification", "seeds": list(range(SEEDS))}
    graphs = {"laptop": measure(laptop), "many_seeds": measure(laptop | {"matrix": [line]})}
    starts = {rule: start(rule).processor for rule in graphs["laptop"].jobs}
    result: dict[str, object] = {"cpus": os.cpu_count(), "python": sys.version.split()[0]}
    result["load_average"] = round(os.getloadavg()[2], 1)
    result |= {name: asdict(graph) for name, graph in graphs.items()}
    result |= {"start_of_a_step": starts, "laptop_overhead": shares(graphs["laptop"], starts)}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(RESULT.read_text())


def measure(settings: dict[str, object]) -> Graph:
    """Run a graph in a checkout of its own, first without DVC, and record it then."""
    with tempfile.TemporaryDirectory() as place:
        folder, alone = Path(place) / "checkout", Path(place) / "alone"
        folder.mkdir()
        checkout.write_checkout(folder)
        (folder / "params.yaml").write_text(yaml.safe_dump(settings))
        (folder / "dvc.yaml").rename(folder / "dvc.yaml.aside")
        checkout.git_init(folder)
        plan = checkout.planned(folder)
        run = cost(CORES, folder)
        (folder / "dvc.yaml.aside").rename(folder / "dvc.yaml")
        record, results = cost(RECORD, folder), megabytes(folder, "data", "results", "reports")
        nothing, bare = side_by_side(folder, one_rule(alone))
        return Graph(
            jobs=plan,
            run=run,
            record=record,
            record_again=best([cost(RECORD, folder) for _ in range(REPEATS)]),
            nothing_to_do_snakemake=nothing,
            snakemake_alone=bare,
            nothing_to_do_dvc=best([cost(("dvc", "repro"), folder) for _ in range(REPEATS)]),
            results_megabytes=results,
            with_cache_megabytes=megabytes(folder, "data", "results", "reports", ".dvc/cache"),
        )


def one_rule(folder: Path) -> Path:
    """A workflow of one rule that has run."""
    folder.mkdir()
    (folder / "Snakefile").write_text('rule all:\n    output: "done"\n    shell: "touch done"\n')
    cost(CORES, folder)
    return folder


def side_by_side(*folders: Path) -> list[Cost]:
    """A run of Snakemake in each folder in turn, REPEATS times: other work strikes all alike."""
    rounds = [[cost(CORES, folder) for folder in folders] for _ in range(REPEATS)]
    return [best(list(costs)) for costs in zip(*rounds, strict=True)]


def start(rule: str) -> Cost:
    """The start of a step, up to where its work begins: the interpreter and all imports."""
    named = re.findall(r'fingerprint\("([\w.]+)"\)', (ROOT / f"workflow/rules/{rule}.smk").read_text())
    module = MODULES.get(rule) or named[0]
    code = f"from habits import cli, jobs; jobs.prepare_environment(1); import habits.{module}"
    return best([cost((sys.executable, "-c", code), ROOT) for _ in range(REPEATS)])


def shares(graph: Graph, starts: dict[str, float]) -> dict[str, float]:
    """Overhead of a laptop run: processor seconds, and their share in those of its jobs."""
    snakemake = graph.run.processor + graph.record.processor
    processes = sum(count * starts[rule] for rule, count in graph.jobs.items())
    return {
        "snakemake_and_dvc": round(snakemake, 1),
        "starts": round(processes, 1),
        "share_snakemake_and_dvc": round(snakemake / LAPTOP_JOBS, 4),
        "share_starts": round(processes / LAPTOP_JOBS, 4),
    }


def cost(command: Sequence[str], folder: Path) -> Cost:
    """One run of a command that must succeed."""
    environment = checkout.environment(folder, QUICK_STEPS_MODEL_BYTES=str(MODEL_BYTES))
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - started, os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(round(wall, 2), round(processor, 2))


def best(costs: list[Cost]) -> Cost:
    """The least of each: what other work on the machine adds is not ours."""
    return Cost(min(c.wall for c in costs), min(c.processor for c in costs))


def megabytes(folder: Path, *names: str) -> float:
    """Space of the files in some folders; a file with two names counts once."""
    files = [path.lstat() for name in names for path in (folder / name).rglob("*") if path.is_file()]
    return round(sum({status.st_ino: status.st_size for status in files}.values()) / 1e6, 1)


if __name__ == "__main__":
    main()
