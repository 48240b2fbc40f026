"""Answer requests with vLLM: runs in the GPU environment, as ``python -m habits.pretraining.vllm_worker``.

Reads a job (JSON); writes one parquet a part, each at once. Instructions and document come first in every
request, so questions about the same document share its prefix. Answers with a schema are constrained to it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from habits.artifacts import write_parquet

STOPS = {"stop": "end_turn", "length": "max_tokens"}


@dataclass(frozen=True)
class Job:
    """What to answer.

    Args:
        model: name on the Hugging Face Hub, or a folder.
        parts: folder to write ``part{k}.parquet`` into.
        part_size: requests a part.
        max_model_len: longest prompt and answer.
        tensor_parallel: GPUs.
        requests: fields of each request (`habits.llm.requests.Request`) and its key.
    """

    model: str
    parts: str
    part_size: int
    max_model_len: int
    tensor_parallel: int
    requests: list[dict[str, Any]]

    def to_json(self) -> str:
        """The job for the worker."""
        return json.dumps(asdict(self))


def main(path: str) -> None:
    """Answer the job at ``path``, part by part."""
    job = Job(**json.loads(Path(path).read_text()))
    engine = start(job)
    for number, first in enumerate(range(0, len(job.requests), job.part_size)):
        answers = answer(engine, job, job.requests[first : first + job.part_size])
        write_parquet(answers, Path(job.parts) / f"part{number:05d}.parquet")


def start(job: Job) -> Any:
    """A vLLM engine for the model, with prefix caching."""
    from vllm import LLM

    return LLM(
        model=job.model,
        tensor_parallel_size=job.tensor_parallel,
        max_model_len=job.max_model_len,
        enable_prefix_caching=True,
        generation_config="vllm",
        seed=0,
    )


def answer(engine: Any, job: Job, requests: list[dict[str, Any]]) -> pd.DataFrame:
    """One answer to each request."""
    chats = [
        [
            {"role": "system", "content": request.get("system", "")},
            {"role": "user", "content": request["user"]},
        ]
        for request in requests
    ]
    outputs = engine.chat(chats, [sampling(request) for request in requests], use_tqdm=False)
    rows = []
    for request, output in zip(requests, outputs, strict=True):
        found = output.outputs[0]
        rows.append(
            {
                "key": request["key"],
                "text": found.text,
                "stop_reason": STOPS.get(found.finish_reason, str(found.finish_reason)),
                "input_tokens": len(output.prompt_token_ids),
                "output_tokens": len(found.token_ids),
                "model": job.model,
            }
        )
    return pd.DataFrame(rows)


def sampling(request: dict[str, Any]) -> Any:
    """How a request is sampled; its own seed is a constant, so that equal requests get equal answers."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    schema = request.get("schema")
    temperature = request.get("temperature")
    return SamplingParams(
        temperature=1.0 if temperature is None else temperature,
        max_tokens=request["max_tokens"],
        seed=0,
        structured_outputs=StructuredOutputsParams(json=json.loads(schema)) if schema else None,
    )


if __name__ == "__main__":
    main(sys.argv[1])
