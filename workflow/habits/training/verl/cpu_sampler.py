"""verl's replay buffer with a short wait, for runs without a GPU (``trainer.v1.sampler.custom_sampler``).

verl 0.9.1 looks every 2 s whether the rollouts are there (``ReplayBuffer.poll_interval``), which no
setting changes; a tiny model makes them in a tenth of that.
"""

from __future__ import annotations

from typing import Any

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer


class EagerSampler(ReplayBuffer):
    """The same buffer, asked 20 times a second."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "poll_interval": 0.05})
