#!/usr/bin/env python3
"""Stands in for `habits` in tests of the workflow around the steps: same outputs by name, made in no time.

What a step writes is a hash of its command, its inputs and the settings it uses: same in, same out.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

SETTINGS = {
    "problems": ["countdown"],
    "base_model": ["models"],
    "priming": ["priming"],
    "sft": ["sft"],
    "rl": ["rl"],
    "rollouts": ["rollouts"],
    "statistics": ["statistics"],
    "analyses": ["statistics"],
    "report": ["preset"],
}


def main() -> None:
    verb, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    out = Path(options["--out"])
    if os.environ.get("QUICK_STEPS_FAIL") == verb:
        raise SystemExit(1)
    settings = json.loads(Path(os.environ["HABITS_PARAMS"]).read_text())
    content = hashlib.sha256(json.dumps([settings[key] for key in SETTINGS.get(verb, [])]).encode())
    content.update(json.dumps(sorted(options.items())).encode())
    for path in sorted(Path(value) for key, value in options.items() if key not in ("--out", "--log")):
        for file in sorted(path.rglob("*")) if path.is_dir() and verb != "report" else [path]:
            if file.is_file() and file.name[0] != "." and file.name != "MANIFEST.json":
                content.update(file.read_bytes())
    text = content.hexdigest()
    for name in outputs(verb, out, options):
        name.parent.mkdir(parents=True, exist_ok=True)
        # In place: an output that DVC linked read-only must have been removed before.
        name.write_text(f"{verb} {name} {text}\n")
    if verb == "statistics":
        (out / "provenance.json").write_text(str(time.time()))
        accuracy = int(text[:4], 16) / 16**4
        (out / "summary.json").write_text(json.dumps({"plain/none/ppo": {"accuracy": accuracy}}))
        (out / "accuracy.csv").write_text(f"condition,rl_step,accuracy\nplain/none/ppo,4,{accuracy}\n")


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
            return [out / "curves.parquet", out / "final.parquet"]
        case "analyses":
            return [out / "length_bins.parquet"]
        case "figures":
            return [out / f"{options['--name']}.{kind}" for kind in ("svg", "png", "pdf", "json")]
        case "report":
            return [out / "runs.html", out / "index.html"]
        case _:
            return [out]


if __name__ == "__main__":
    main()
