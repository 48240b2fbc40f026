"""Training speed: our attention against transformers' ``eager`` and ``sdpa``, in one run on one model.

Prints tokens per second (processor time) of a forward and backward pass and the ratios; writes
benchmarks/results/training.json.

    python benchmarks/training.py
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from habits import params as settings
from habits.models import attention
from habits.models.base_model import new_model, next_token_loss
from habits.models.policy import Policy
from habits.models.tokenizer import build_tokenizer

ROWS, LENGTH, REPEATS = 24, 128, 8
RESULT = Path(__file__).parent / "results" / "training.json"


def main() -> None:
    """Measure every attention in both dtypes."""
    laptop = settings.load(Path("workflow/presets/laptop.yaml"))
    torch.set_num_threads(1)
    result: dict[str, object] = {"rows": ROWS, "length": LENGTH}
    for dtype in (torch.bfloat16, torch.float32):
        rates = {name: rate(laptop, name, dtype) for name in (attention.NAME, "eager", "sdpa")}
        result[str(dtype)] = {
            "tokens_per_second": {name: round(value) for name, value in rates.items()},
            "ratio_to_best_other": round(rates[attention.NAME] / max(rates["eager"], rates["sdpa"]), 2),
        }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def rate(laptop: settings.Params, implementation: str, dtype: torch.dtype) -> float:
    """Best tokens per second of processor time over the repeats."""
    torch.manual_seed(0)
    model = new_model(laptop.models["plain"], build_tokenizer())
    model.set_attn_implementation(implementation)
    policy = Policy(model, dtype)
    ids = torch.randint(30, 120, (ROWS, LENGTH))
    next_token_loss(policy, ids).backward()
    best = 0.0
    for _ in range(REPEATS):
        started = time.process_time()
        next_token_loss(policy, ids).backward()
        best = max(best, ROWS * (LENGTH - 1) / (time.process_time() - started))
    return best


if __name__ == "__main__":
    main()
