"""Sampling inside verl without vLLM: our own sampler behind verl's server contract.

One Ray actor holds a copy of the model, batches the requests that wait, and takes new weights after every
step. For ``training.verl.platform: cpu`` (rollout name ``hf_cpu``).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ray
import torch
from transformers import AutoModelForCausalLM
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.config import HFModelConfig
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica, TokenOutput

from habits.models.generation import sample

GATHER = 0.02  # seconds in which requests are collected into one batch


def actor_name(rank: int) -> str:
    """The server of one replica, by which its trainer finds it."""
    return f"habits_sampler_{rank}"


@dataclass
class Request:
    """A prompt that waits, the temperature it wants, and where its answer goes."""

    prompt: list[int]
    temperature: float
    answer: asyncio.Future[TokenOutput]


class Server:
    """Samples; lives in a Ray actor."""

    def __init__(self, config: Any, model_config: Any, seed: int) -> None:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        self.config = omega_conf_to_dataclass(config)
        loaded = omega_conf_to_dataclass(model_config, dataclass_type=HFModelConfig)
        self.tokenizer = loaded.tokenizer
        self.model = AutoModelForCausalLM.from_pretrained(
            loaded.local_path, dtype=torch.float32, attn_implementation="sdpa"
        ).eval()
        self.generator = torch.Generator().manual_seed(seed)
        self.waiting: list[Request] = []
        self.step: int | None = None
        self.task: asyncio.Task[None] | None = None

    async def generate(
        self, prompt_ids: list[int], sampling_params: dict[str, Any], request_id: str, **_: Any
    ) -> TokenOutput:
        """One response; verl calls this once a rollout."""
        answer: asyncio.Future[TokenOutput] = asyncio.get_running_loop().create_future()
        self.waiting.append(Request(list(prompt_ids), float(sampling_params["temperature"]), answer))
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._serve())
        return await answer

    async def _serve(self) -> None:
        while self.waiting:
            await asyncio.sleep(GATHER)
            first = self.waiting[0].temperature
            batch = [request for request in self.waiting if request.temperature == first]
            self.waiting = [request for request in self.waiting if request.temperature != first]
            batch.sort(key=lambda request: request.prompt)  # the order of arrival must not decide
            try:
                outputs = await asyncio.to_thread(self._sample, [r.prompt for r in batch], first)
            except Exception as error:
                for request in batch:
                    request.answer.set_exception(error)
                return
            for request, output in zip(batch, outputs, strict=True):
                request.answer.set_result(output)

    def _sample(self, prompts: list[list[int]], temperature: float) -> list[TokenOutput]:
        samples = sample(
            self.model,
            prompts,
            max_new_tokens=self.config.response_length,
            eos=self.tokenizer.eos_token_id,
            pad=self.tokenizer.pad_token_id,
            generator=self.generator,
            temperature=temperature,
        )
        return [
            TokenOutput(
                token_ids=ids,
                log_probs=samples.logprob_B_R[row, : len(ids)].tolist(),
                stop_reason="completed",
                extra_fields={"global_steps": self.step},
            )
            for row, ids in enumerate(samples.responses)
        ]

    async def load_weights(self, weights: dict[str, torch.Tensor], step: int | None, seed: int) -> None:
        """Take the policy of ``step``; what is sampled from it depends on seed and step alone."""
        state = self.model.state_dict()
        with torch.no_grad():
            for name, weight in weights.items():
                state[name].copy_(weight)
        self.step = step
        self.generator.manual_seed(seed * 1_000_003 + (step or 0))

    async def nothing(self, *_: Any, **__: Any) -> dict[str, Any]:
        """verl's other requests to a server; there is no GPU memory to free."""
        return {}

    wake_up = sleep = clear_kv_cache = release_kv_cache = resume_kv_cache = nothing
    abort_all_requests = resume_generation = start_profile = stop_profile = nothing


class Replica(RolloutReplica):
    """Starts the server."""

    async def launch_servers(self) -> None:
        """Start one actor; called by verl."""
        options = {"name": actor_name(self.replica_rank), "max_concurrency": 4096, "num_cpus": 1}
        server: Any = (
            ray.remote(Server).options(**options).remote(self.config, self.model_config, self.config.seed)
        )
        await server.clear_kv_cache.remote()
        self.servers = [server]
        self._server_handle = server
        self._server_address = f"{actor_name(self.replica_rank)}:0"

    async def abort_all_requests(self, reject_request: bool = False) -> dict[str, Any]:
        """Nothing is ever under way when verl asks."""
        return {}


class Adapter(BaseRollout):
    """The trainer's side: sends new weights to the server."""

    def __init__(self, config: Any, model_config: Any, device_mesh: Any, replica_rank: int = -1) -> None:
        super().__init__(config, model_config, device_mesh)
        self.rank = int(os.environ["RANK"]) if replica_rank == -1 else replica_rank

    async def resume(self, tags: list[str]) -> None:
        """There is no GPU memory to fill."""

    async def release(self) -> None:
        """There is no GPU memory to free."""

    async def update_weights(
        self,
        weights: Iterable[tuple[str, torch.Tensor]],
        wire_format: str = "named_tensors",
        global_steps: int | None = None,
        **_: Any,
    ) -> None:
        """Send all weights, in float32."""
        state = {name: weight.detach().float().cpu() for name, weight in weights}
        server = ray.get_actor(actor_name(self.rank))
        await server.load_weights.remote(state, global_steps, self.config.seed)
