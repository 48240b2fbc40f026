"""verl's agent loop for our prompts: encoded as in SFT and evaluation, with no chat template around them.

Also hands the reward what it needs to tell a cut-off response from a finished one. It does not inherit
verl's base class, which would ask the tokenizer for the turns of a chat.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from transformers import PreTrainedTokenizerBase
from verl.experimental.agent_loop.agent_loop import AgentLoopMetrics, AgentLoopOutput

from habits.models.tokenizer import encode_prompt


class PlainPrompt:
    """One response to one prompt text; verl makes one for each rollout."""

    def __init__(
        self, trainer_config: Any, server_manager: Any, tokenizer: PreTrainedTokenizerBase, **_: Any
    ) -> None:
        self.longest = trainer_config.config.actor_rollout_ref.rollout.response_length
        self.server_manager, self.tokenizer = server_manager, tokenizer

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        """Sample a response; called by verl, once a rollout."""
        prompt = kwargs["raw_prompt"][0]["content"]
        prompt_ids = encode_prompt(self.tokenizer, prompt)
        output = await self.server_manager.generate(
            request_id=uuid4().hex, prompt_ids=prompt_ids, sampling_params=sampling_params
        )
        response_ids = list(output.token_ids)[: self.longest]
        logprobs = None if output.log_probs is None else list(output.log_probs)[: len(response_ids)]
        told = {
            "prompt": prompt,
            "n_tokens": len(response_ids),
            "stopped": response_ids[-1] == self.tokenizer.eos_token_id,
            "logprob": None if logprobs is None else float(sum(logprobs)),
            "step": int(kwargs["global_steps"]),
            "session": int(kwargs["session_id"]),
            "sampled": sampling_params["temperature"] > 0,
        }
        return AgentLoopOutput(
            prompt_ids=prompt_ids,
            response_ids=response_ids,
            response_mask=[1] * len(response_ids),
            response_logprobs=logprobs,
            num_turns=2,
            metrics=AgentLoopMetrics(),
            extra_fields={**output.extra_fields, "turn_scores": [], "tool_rewards": [], "rollout": told},
        )
