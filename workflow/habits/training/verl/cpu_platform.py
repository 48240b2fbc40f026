"""verl without a GPU: a platform plugin, and the few patches that verl 0.9.1 needs besides.

Loaded by verl in each of its processes (``VERL_USE_EXTERNAL_MODULES``), for ``training.verl.platform: cpu``.
What can be registered is registered; each patch below names the line of verl that it stands for.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import psutil
import torch
from torch.distributed.fsdp import CPUOffloadPolicy
from verl.plugin.platform import PlatformBase, PlatformRegistry

HERE = "habits.training.verl"


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _zero(*_: Any, **__: Any) -> int:
    return 0


def _memory(*_: Any) -> tuple[int, int]:
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def device_module() -> ModuleType:
    """What verl asks of ``torch.cuda``, answered for the processor."""
    module = ModuleType("habits_cpu_device")
    for name in ("set_device", "synchronize", "empty_cache", "ipc_collect", "reset_peak_memory_stats"):
        setattr(module, name, _nothing)
    module.set_per_process_memory_fraction = _nothing  # type: ignore[attr-defined]
    for name in ("memory_allocated", "memory_reserved", "max_memory_allocated", "max_memory_reserved"):
        setattr(module, name, _zero)
    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: torch.device("cpu"),
        "mem_get_info": _memory,
        "get_device_name": lambda *_: "cpu",
        "get_rng_state": lambda *_, **__: torch.get_rng_state(),
        "set_rng_state": lambda state, *_, **__: torch.set_rng_state(state),
        "manual_seed": torch.manual_seed,
        "manual_seed_all": torch.manual_seed,
        "Stream": torch.cpu.Stream,
        "stream": torch.cpu.stream,
        "current_stream": torch.cpu.current_stream,
        "Event": torch.Event,
    }
    for name, answer in answers.items():
        setattr(module, name, answer)
    return module


DEVICE = device_module()


@PlatformRegistry.register(platform="cpu")
class CpuPlatform(PlatformBase):
    """The processor as verl's accelerator."""

    device_name = property(lambda _: "cpu")
    vendor_name = property(lambda _: "cpu")
    device_module = property(lambda _: DEVICE)

    def is_available(self) -> bool:
        """Always."""
        return True

    def current_device(self) -> torch.device:  # type: ignore[override]
        """What verl moves tensors to; an integer would mean a CUDA device."""
        return torch.device("cpu")

    def device_count(self) -> int:
        """One a worker."""
        return 1

    def set_device(self, device_index: int) -> None:
        """There is nothing to choose."""

    def synchronize(self, device_index: int | None = None) -> None:
        """Nothing runs asynchronously."""

    def manual_seed(self, seed: int) -> None:
        """Seed torch."""
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        """Seed torch."""
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        """None here."""

    def empty_cache(self) -> None:
        """None here."""

    def get_device_capability(self, device_index: int = 0) -> tuple[None, None]:
        """None of CUDA's."""
        return None, None

    def communication_backend_name(self) -> str:
        """Called just before engines are built, so the last patches are made here."""
        _patch_critic()
        return "gloo"

    def visible_devices_envvar(self) -> str:
        """Must be some name; it is never set."""
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        """No profiler."""
        yield

    def profiler_start(self) -> None:
        """No profiler."""

    def profiler_stop(self) -> None:
        """No profiler."""

    def ray_resource_name(self) -> str:
        """verl's resource pools ask Ray for GPUs; ``ray.init`` is told of one that is only a number."""
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        """As for CUDA."""
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self) -> bool:
        """Weights then go to the sampler through shared memory."""
        return False

    def cudart(self) -> None:
        """None here."""


def _one_backend(start: Callable[..., Any]) -> Callable[..., Any]:
    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> Any:
        return start("gloo" if backend == "cpu:gloo,cpu:gloo" else backend, *args, **kwargs)

    return init_process_group


def _patch_torch() -> None:
    # verl/utils/distributed.py joins f"cpu:gloo,{device}:{backend}"; torch refuses one device named twice.
    patched = _one_backend(torch.distributed.init_process_group)
    torch.distributed.init_process_group = patched
    torch.distributed.distributed_c10d.init_process_group = patched
    # verl/workers/engine/fsdp/transformer_impl.py offloads a forward-only model (the reference) with
    # CPUOffloadPolicy(pin_memory=True); pinning needs an accelerator.
    original = CPUOffloadPolicy.__init__

    def unpinned(self: CPUOffloadPolicy, pin_memory: bool = True) -> None:
        original(self, pin_memory=False)

    CPUOffloadPolicy.__init__ = unpinned  # type: ignore[method-assign]


def _patch_critic() -> None:
    # verl/utils/model.py load_valuehead_model asks for flash_attention_2 whatever the configuration says.
    import verl.utils.model
    from transformers import AutoModelForTokenClassification

    def load_valuehead_model(
        local_path: str, torch_dtype: torch.dtype, model_config: Any, trust_remote_code: bool
    ) -> Any:
        return AutoModelForTokenClassification.from_pretrained(
            local_path, dtype=torch_dtype, config=model_config, attn_implementation="sdpa"
        )

    verl.utils.model.load_valuehead_model = load_valuehead_model


def _register_adapter(module: ModuleType) -> None:
    # verl/workers/rollout/base.py keeps its rollouts in a private mapping; there is no way to register one.
    module._ROLLOUT_REGISTRY["hf_cpu", "async"] = f"{HERE}.cpu_rollout.Adapter"


def _register_replica(module: ModuleType) -> None:
    def load() -> Any:
        from habits.training.verl.cpu_rollout import Replica

        return Replica

    module.RolloutReplicaRegistry.register("hf_cpu", load)


class _AfterImport(importlib.abc.MetaPathFinder):
    """Registers the sampler when verl's rollout modules are loaded; loading them here would be a cycle."""

    def __init__(self) -> None:
        self.hooks = {
            "verl.workers.rollout.base": _register_adapter,
            "verl.workers.rollout.replica": _register_replica,
        }

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """The usual spec of a hooked module, with the hook run behind it."""
        hook = self.hooks.pop(name, None)
        if hook is None:
            return None
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            hook(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


_patch_torch()
sys.meta_path.insert(0, _AfterImport())
