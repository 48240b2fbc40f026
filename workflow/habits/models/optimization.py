"""Optimizers, learning-rate schedule and resumable trainer state, shared by all local training."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from habits.artifacts import replacing


class DivergedError(RuntimeError):
    """Training left the finite numbers; the message names the run, the step and what to lower."""


class Optimizers:
    """One or two optimizers that step together.

    ``muon`` orthogonalizes the updates of weight matrices (Jordan et al. 2024, torch.optim.Muon) and
    leaves embeddings, norms and biases to AdamW; ``adamw`` gives everything to AdamW.
    """

    def __init__(
        self, modules: Iterable[nn.Module], kind: str, learning_rate: float, betas: tuple[float, float]
    ) -> None:
        weights = [w for module in modules for w in unique_parameters(module)]
        matrices = [w for name, w in weights if kind == "muon" and w.ndim == 2 and "embed" not in name]
        chosen = {id(w) for w in matrices}
        others = [w for _, w in weights if id(w) not in chosen]
        self.peak = learning_rate
        self.weights = [w for _, w in weights]
        self.parts: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(others, learning_rate, betas=betas, weight_decay=0.0, fused=True)
        ]
        if matrices:
            self.parts.append(
                torch.optim.Muon(
                    matrices, learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw", ns_steps=4
                )
            )

    def set_rate(self, factor: float) -> None:
        """Set the learning rate of every part to ``factor`` of its peak."""
        for group in (group for part in self.parts for group in part.param_groups):
            group["lr"] = self.peak * factor

    def step(self, grad_clip: float) -> float:
        """Clip the joint gradient norm, update, clear the gradients; returns the norm before clipping."""
        norm = nn.utils.clip_grad_norm_(self.weights, grad_clip)
        for part in self.parts:
            part.step()
            part.zero_grad(set_to_none=True)
        return float(norm)

    def state_dict(self) -> list[dict[str, Any]]:
        """State of all parts."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore what `state_dict` gave."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def unique_parameters(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Named parameters, tied weights once."""
    return list(module.named_parameters(remove_duplicate=True))


def warmup_then_linear(step: int, steps: int, warmup: int, floor: float = 0.05) -> float:
    """Learning-rate factor of 0-based ``step``: linear warm-up, then linear decay to ``floor``."""
    return min(1.0, (step + 1) / max(warmup, 1)) * (1 - (1 - floor) * step / steps)


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Write trainer state atomically, so that a kill leaves the old or the new one, never half of it."""
    with replacing(folder / "trainer.pt") as temporary:
        torch.save(state, temporary)


def load_state(folder: Path, settings: str) -> dict[str, Any] | None:
    """Trainer state to go on from; None when there is none or it belongs to other ``settings``.

    ``settings`` is a hash over everything the result depends on; work in progress of another setting
    is thrown away, because going on from it would mix two experiments.
    """
    file = folder / "trainer.pt"
    if not file.exists():
        return None
    state: dict[str, Any] = torch.load(file, weights_only=True)
    if state["settings"] == settings:
        return state
    shutil.rmtree(folder)
    return None


def scratch_folder(out: Path) -> Path:
    """Where work in progress on ``out`` lives: outside every declared output, so a failed rule keeps it."""
    return Path("scratch") / out
