"""Sampling speed: our loop against transformers' ``generate``, and our attention against transformers'.

Prints tokens per second (processor time) of each and the ratios; writes benchmarks/results/generation.json.
Responses end at random lengths, as in RL, so that the cost of a straggler shows.

    python benchmarks/generation.py
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import Qwen2ForCausalLM

from habits import params as settings
from habits.models import generation, policy
from habits.models.base_model import new_model
from habits.models.tokenizer import build_tokenizer

BATCH, NEW_TOKENS, REPEATS = 256, 144, 3
RESULT = Path(__file__).parent / "results" / "generation.json"


def main() -> None:
    """Measure every way to sample in both dtypes."""
    laptop = settings.load(Path("workflow/presets/laptop.yaml"))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    model = new_model(laptop.models["plain"], tokenizer).eval()
    # A random model stops with p = 1/128 a token: mean length about 87 of 144, with many stragglers.
    prompts = torch.randint(30, 120, (BATCH, 8))
    result: dict[str, object] = {"batch": BATCH, "new_tokens": NEW_TOKENS}
    for dtype in (torch.bfloat16, torch.float32):
        rates = {name: rate(way) for name, way in ways(copy.deepcopy(model).to(dtype), prompts).items()}
        result[str(dtype)] = {
            "tokens_per_second": {name: round(r) for name, r in rates.items()},
            "ratio_to_generate": round(rates["ours"] / max(rates["generate"], rates["generate_static"]), 2),
            "ratio_to_other_attention": round(
                rates["ours"] / max(rates["ours_eager"], rates["ours_sdpa"]), 2
            ),
        }
    result["default_dtype"] = str(policy.choose_dtype(laptop.runtime))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def ways(model: Qwen2ForCausalLM, prompts: torch.Tensor) -> dict[str, Callable[[], int]]:
    """Each way to sample, as a function that returns the number of response tokens it made."""
    rows = prompts.tolist()
    eager, sdpa = copy.deepcopy(model), copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    sdpa.set_attn_implementation("sdpa")

    def ours(sampled: Qwen2ForCausalLM) -> int:
        generator = torch.Generator().manual_seed(1)
        samples = generation.sample(
            sampled, rows, max_new_tokens=NEW_TOKENS, eos=2, pad=0, generator=generator
        )
        return sum(map(len, samples.responses))

    def generate(cache: str | None = None) -> int:
        torch.manual_seed(1)
        extra = {"cache_implementation": cache, "disable_compile": True} if cache else {}
        out = sdpa.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            max_new_tokens=NEW_TOKENS,
            do_sample=True,
            top_k=0,
            **extra,
        )
        responses = out[:, prompts.shape[1] :]
        return int((responses != 0).sum())

    return {
        "ours": lambda: ours(model),
        "ours_eager": lambda: ours(eager),
        "ours_sdpa": lambda: ours(sdpa),
        "generate": generate,
        "generate_static": lambda: generate("static"),
    }


def rate(way: Callable[[], int]) -> float:
    """Best tokens per second of processor time over the repeats."""
    way()
    best = 0.0
    for _ in range(REPEATS):
        started = time.process_time()
        tokens = way()
        best = max(best, tokens / (time.process_time() - started))
    return best


if __name__ == "__main__":
    main()
