"""Sample one checkpoint with vLLM: runs in the GPU environment, as ``python -m habits.rollouts.vllm_worker``.

Reads a request (JSON) that names the model and a parquet of prompt token ids; writes one parquet a shard,
each at once, and skips the shards that are there: a killed worker goes on. The engine is started only if
a shard is missing.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from habits.artifacts import write_parquet


@dataclass(frozen=True)
class Request:
    """What to sample.

    Args:
        model: checkpoint folder.
        prompts: parquet with columns row, prompt_ids and seed.
        shards: folder to write ``shard{k}.parquet`` into (row, response_ids, logprob).
        shard_size: responses a shard.
        max_tokens: longest response.
        max_model_len: longest prompt and response.
        temperature: 0 takes the most likely token.
        eos: token id that ends a response.
        tensor_parallel: GPUs.
        eager: compile nothing; without a GPU that would take minutes.
        dtype: of weights and computation.
        seed: of the engine; each response has its own besides.
    """

    model: str
    prompts: str
    shards: str
    shard_size: int
    max_tokens: int
    max_model_len: int
    temperature: float
    eos: int
    tensor_parallel: int
    eager: bool
    dtype: str
    seed: int

    def write(self, path: Path) -> None:
        """Write the request for the worker."""
        path.write_text(json.dumps(asdict(self)))


def main(path: str) -> None:
    """Sample what the request at ``path`` asks for."""
    request = Request(**json.loads(Path(path).read_text()))
    prompts = pd.read_parquet(request.prompts)
    engine: Any = None
    for number, first in enumerate(range(0, len(prompts), request.shard_size)):
        shard = Path(request.shards) / f"shard{number:05d}.parquet"
        if not shard.exists():
            engine = engine or start(request)
            write_parquet(sample(engine, request, prompts[first : first + request.shard_size]), shard)


def start(request: Request) -> Any:
    """A vLLM engine for the model, in this process: its batches do not hang on timing, and a kill ends it."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    from vllm import LLM

    return LLM(
        model=request.model,
        dtype=request.dtype,
        seed=request.seed,
        tensor_parallel_size=request.tensor_parallel,
        enforce_eager=request.eager,
        max_model_len=request.max_model_len,
        logprobs_mode="processed_logprobs",  # under the sampling distribution, temperature included
        generation_config="vllm",  # nothing from the model's own generation settings
        skip_tokenizer_init=True,
    )


def sample(engine: Any, request: Request, prompts: pd.DataFrame) -> pd.DataFrame:
    """One response to each prompt."""
    from vllm import SamplingParams

    settings = [
        SamplingParams(
            n=1,
            seed=int(seed),
            temperature=request.temperature,
            top_p=1.0,
            top_k=-1,
            max_tokens=request.max_tokens,
            logprobs=0,
            stop_token_ids=[request.eos],
            detokenize=False,
        )
        for seed in prompts["seed"]
    ]
    asked = [{"prompt_token_ids": [int(token) for token in ids]} for ids in prompts["prompt_ids"]]
    outputs = [found.outputs[0] for found in engine.generate(asked, settings)]
    ids = [[int(token) for token in output.token_ids] for output in outputs]
    logprobs = [
        sum(position[token].logprob for position, token in zip(output.logprobs, tokens, strict=True))
        for output, tokens in zip(outputs, ids, strict=True)
    ]
    return pd.DataFrame({"row": prompts["row"].tolist(), "response_ids": ids, "logprob": logprobs})


if __name__ == "__main__":
    main(sys.argv[1])
