"""Labels by an offline vLLM: no server and no price; replies go to the same store as those of a vendor.

Reads and writes ``data/replies`` (`habits.llm.store`); works under ``scratch/vllm``. The engine runs in the
GPU environment (``vllm_worker``) and answers in parts: what a killed worker has finished is stored by the
next one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from habits.artifacts import hash_json, read_parquet, write_text
from habits.llm.requests import Answer, Reply, Request, Usage
from habits.llm.store import Record, ReplyStore
from habits.params import Params
from habits.pretraining.vllm_worker import Job
from habits.training import devices
from habits.training.interpreter import dies_with_parent, gpu_python, package_environment

SCRATCH = Path("scratch/vllm")
PART = 512  # requests that are answered and written at once
SHOWN = 30  # lines of vLLM's output that an error repeats
ROOM = 1024  # tokens of instructions and question beside a document, at most


class VllmFailedError(RuntimeError):
    """vLLM ended with an error; the message has the log's name, above it stands the end of its output."""


def ask_vllm(params: Params, requests: Sequence[Request], rule: str, gpus: int) -> list[Answer]:
    """The answers to ``requests``, in their order. What is stored already is not asked again.

    Args:
        gpus: over which the model is spread (tensor parallel).

    Raises:
        VllmFailedError: the engine failed; replies so far are stored.
    """
    with ReplyStore() as store:
        missing = list({r.key: r for r in requests if r.key not in store}.values())
        if missing:
            scratch = SCRATCH / hash_json([request.key for request in requests])
            _take_in(scratch, missing, store, rule)
            left = [request for request in missing if request.key not in store]
            try:
                if left:
                    _run(params, left, scratch, gpus)
            finally:
                _take_in(scratch, missing, store, rule)
            shutil.rmtree(scratch, ignore_errors=True)
        stored = store.get(request.key for request in requests)
    return [
        Answer.of(request, stored[request.key])
        if request.key in stored
        else Answer(request, "error", None, "vLLM gave no answer")
        for request in requests
    ]


def _run(params: Params, requests: Sequence[Request], scratch: Path, gpus: int) -> None:
    """Start the worker on ``requests`` and wait for it."""
    job = Job(
        model=params.labelling.model,
        parts=str(scratch / "parts"),
        part_size=PART,
        max_model_len=2 * params.pretraining.max_tokens + ROOM + max(r.max_tokens for r in requests),
        tensor_parallel=max(gpus, 1),
        requests=[json.loads(request.to_json()) | {"key": request.key} for request in requests],
    )
    (scratch / "parts").mkdir(parents=True, exist_ok=True)
    write_text(job.to_json(), scratch / "job.json")
    log = scratch / "vllm.log"
    with log.open("ab") as file, devices.held(gpus) as shown:
        done = subprocess.run(
            [gpu_python(), "-m", "habits.pretraining.vllm_worker", str(scratch / "job.json")],
            env=package_environment() | shown,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=dies_with_parent,
        )
    if done.returncode:
        print("\n".join(log.read_text(errors="replace").splitlines()[-SHOWN:]), file=sys.stderr)
        raise VllmFailedError(f"vLLM ended with code {done.returncode}; all it said is in {log}")


def _take_in(scratch: Path, requests: Sequence[Request], store: ReplyStore, rule: str) -> None:
    """Store what finished parts hold."""
    known = {request.key: request for request in requests}
    for part in sorted((scratch / "parts").glob("part*.parquet")):
        records = []
        for row in read_parquet(part).to_dict("records"):
            if row["key"] in known and row["key"] not in store:
                usage = Usage(input=int(row["input_tokens"]), output=int(row["output_tokens"]))
                reply = Reply(row["text"], row["stop_reason"], usage, f"vllm-{row['key'][:16]}", row["model"])
                payment = f"vllm/{row['key']}"
                records.append(Record(known[row["key"]], reply, payment, time.time(), rule, 0.0, False))
        store.add(records)
        part.unlink()
