"""Documents through the shards: peak memory and documents per second of one core, by size of the corpus.

Run ``python benchmarks/pretraining_documents.py 50000 1000000``; writes
benchmarks/results/pretraining_documents.json after each size. Every step runs as in the workflow, one process
a shard, one after the other; memory is the largest resident set of any of them, time is processor time.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from habits.cli import PRESETS
from habits.params import Params, validate

RESULTS = Path(__file__).parent / "results" / "pretraining_documents.json"
SHARD = 50_000
STEPS = ("corpus", "deduplication", "labels", "pretraining_statistics")


def settings(documents: int) -> Params:
    """The laptop preset with a corpus of this size."""
    raw = yaml.safe_load((PRESETS / "laptop.yaml").read_text())
    corpora = {"embedded": {"source": "generator", "documents": documents, "seed": 5}}
    raw["pretraining"] |= {"corpora": corpora, "shard_documents": SHARD}
    return validate(raw)


def run(step: str, documents: int, shard: int, folder: str) -> dict[str, float]:
    """One job of the workflow, in a process of its own: processor seconds, and megabytes at most."""
    os.chdir(folder)
    params, name = settings(documents), f"embedded/shard{shard:04d}.parquet"
    from habits.analysis.pretraining_statistics import write_pretraining_statistics
    from habits.pretraining.corpus import write_shard
    from habits.pretraining.deduplication import write_duplicates
    from habits.pretraining.labels import write_labels

    started = time.process_time()
    if step == "corpus":
        write_shard(params, "embedded", shard, Path("corpus") / name)
    elif step == "deduplication":
        write_duplicates(params, "embedded", Path("corpus"), Path("repeated.parquet"))
    elif step == "labels":
        paths = Path("corpus") / name, Path("repeated.parquet"), Path("cascade"), Path("labels") / name
        write_labels(params, "embedded", shard, *paths)
    else:
        write_pretraining_statistics(params, Path("labels"), Path("corpus"), Path("statistics"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)
    return {"seconds": time.process_time() - started, "peak_mb": peak}


def measure(documents: int) -> dict[str, Any]:
    """All steps for a corpus of this size."""
    shards = settings(documents).pretraining.shards("embedded")
    folder = tempfile.mkdtemp(prefix="documents")
    found: dict[str, Any] = {"documents": documents}
    try:
        for step in STEPS:
            numbers = shards if step in ("corpus", "labels") else range(1)
            context = multiprocessing.get_context("spawn")
            with context.Pool(1, maxtasksperchild=1) as pool:
                jobs = [pool.apply(run, (step, documents, number, folder)) for number in numbers]
            seconds = sum(job["seconds"] for job in jobs)
            found[step] = {
                "documents_per_second": round(documents / seconds),
                "peak_mb": round(max(job["peak_mb"] for job in jobs)),
            }
        found["disk_mb"] = round(sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file()) / 1e6)
    finally:
        shutil.rmtree(folder)
    return found


def main() -> None:
    """Measure every size that the command line names."""
    sizes: list[dict[str, Any]] = []
    for documents in map(int, sys.argv[1:] or ("50000", "1000000")):
        sizes.append(measure(documents))
        machine = {"python": platform.python_version(), "cpus": os.cpu_count()}
        RESULTS.write_text(json.dumps({"shard": SHARD, "sizes": sizes, **machine}, indent=1) + "\n")
        print(json.dumps(sizes[-1]), flush=True)


if __name__ == "__main__":
    main()
