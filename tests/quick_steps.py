#!/usr/bin/env python3
"""Stands in for `habits` in tests of the workflow around the steps: same outputs by name, made in no time.

What a step writes is a hash of its command, its inputs and the settings it uses: same in, same out.
Faults need moments to strike at, so the environment can slow it down (`QUICK_STEPS_SECONDS` a step) and
it does on purpose what the real steps avoid: it writes in place, and its files are half there for a while.
Long steps save each unit of their work in scratch/ and go on from there; `QUICK_STEPS_LEDGER` names a file
outside the checkout that counts the units done.
"""

import hashlib
import json
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from habits import jobs  # noqa: E402

SETTINGS = {
    "problems": ["countdown"],
    "base_model": ["models"],
    "priming": ["priming"],
    "corpus": ["pretraining"],
    "labels": ["labelling"],
    "rewriting": ["rewriting"],
    "cascade": ["cascade"],
    "sft": ["sft", "pretraining_sft"],
    "rl": ["rl"],
    "rollouts": ["rollouts"],
    "statistics": ["statistics"],
    "analyses": ["statistics"],
    "report": ["preset"],
}
NOT_CONTENT = ("MANIFEST.json", "provenance.json")
READS = {"statistics": ["rl", "rollouts", "behaviors"], "analyses": ["rl", "rollouts"]}
RESUME = ("base_model", "rl")
UNITS = 4
SECONDS = float(os.environ.get("QUICK_STEPS_SECONDS", "0"))


def main() -> None:
    verb, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    with jobs.reported(Path(options["--log"])):
        run(verb, options)


def run(verb: str, options: dict[str, str]) -> None:
    out = Path(options["--out"])
    if os.environ.get("QUICK_STEPS_FAIL") == verb:
        raise SystemExit(1)
    settings = json.loads(Path(os.environ["HABITS_PARAMS"]).read_text())
    content = hashlib.sha256(json.dumps([settings[key] for key in SETTINGS.get(verb, [])]).encode())
    content.update(json.dumps(sorted(options.items())).encode())
    for path in inputs(verb, options):
        for file in sorted(path.rglob("*")) if path.is_dir() and verb != "report" else [path]:
            if file.is_file() and file.name[0] != "." and file.name not in NOT_CONTENT:
                content.update(file.read_bytes())
    text = train(verb, out, content.hexdigest()) if verb in RESUME else content.hexdigest()
    write_in_halves({name: f"{verb} {name} {text}\n" + weights(name) for name in outputs(verb, out, options)})
    if verb == "statistics":
        (out / "provenance.json").write_text(str(time.time()))
        accuracy = int(text[:4], 16) / 16**4
        (out / "summary.json").write_text(json.dumps({"plain/none/ppo": {"accuracy": accuracy}}))
        (out / "accuracy.csv").write_text(f"condition,rl_step,accuracy\nplain/none/ppo,4,{accuracy}\n")


def inputs(verb: str, options: dict[str, str]) -> list[Path]:
    """Files and folders to read; of all results those that a step waits for, whatever runs beside it."""
    found = []
    for path in sorted(Path(value) for key, value in options.items() if key not in ("--out", "--log")):
        found += [path / name for name in READS.get(verb, [])] if path.name == "results" else [path]
    return found


def train(verb: str, out: Path, start: str) -> str:
    """A chain of hashes, each link saved, as training saves its state."""
    saved = Path("scratch") / out / "state.json"
    state = json.loads(saved.read_text()) if saved.exists() else {}
    if state.get("start") != start:
        state = {"start": start, "done": 0, "text": start}
    while state["done"] < UNITS:
        time.sleep(SECONDS / UNITS)
        link = hashlib.sha256(state["text"].encode()).hexdigest()
        state |= {"done": state["done"] + 1, "text": link}
        saved.parent.mkdir(parents=True, exist_ok=True)
        saved.with_suffix(".part").write_text(json.dumps(state))
        saved.with_suffix(".part").replace(saved)
        if ledger := os.environ.get("QUICK_STEPS_LEDGER"):
            with Path(ledger).open("a") as file:
                file.write(f"{verb} {out} {state['done']}\n")
    return str(state["text"])


def write_in_halves(texts: dict[Path, str]) -> None:
    for name, text in texts.items():
        name.parent.mkdir(parents=True, exist_ok=True)
        # In place: an output that DVC linked read-only must have been removed before.
        name.write_text(text[: len(text) // 2])
    time.sleep(SECONDS)
    for name, text in texts.items():
        name.write_text(text)


def weights(name: Path) -> str:
    """What a model holds beyond its line, so that benchmarks move as many bytes as real models have."""
    size = int(os.environ.get("QUICK_STEPS_MODEL_BYTES", "0")) if name.suffix == ".safetensors" else 0
    return random.Random(str(name)).randbytes(size // 2).hex()


def outputs(verb: str, out: Path, options: dict[str, str]) -> list[Path]:
    match verb:
        case "problems":
            return [out / f"{split}.parquet" for split in ("train", "validation", "test")]
        case "base_model" | "sft":
            return [out / "model.safetensors", out / "config.json"]
        case "rl":
            tables = [out / f"{table}.parquet" for table in ("metrics", "timing", "rollouts")]
            return [*tables, *(out / f"checkpoints/step{step}/model.safetensors" for step in (0, 4))]
        case "statistics":
            return [out / f"{table}.parquet" for table in ("curves", "final", "per_problem")]
        case "social_statistics":
            return [out / "curves.parquet"]
        case "pretraining_statistics":
            return [out / "shares.parquet"]
        case "cascade" | "leakage":
            return [out / f"{verb}.parquet"]
        case "rewriting":
            names = ("pretraining_curated", "pretraining_negative", "accounting")
            return [out / f"{name}.parquet" for name in names]
        case "analyses":
            return [out / "length_bins.parquet"]
        case "calibration":
            return [out / "agreement.parquet"]
        case "figures":
            return [out / f"{options['--name']}.{kind}" for kind in ("svg", "png", "pdf", "json")]
        case "report":
            return [out / "runs.html", out / "index.html"]
        case _:
            return [out]


if __name__ == "__main__":
    main()
