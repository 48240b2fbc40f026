"""Settings for real runs of verl's trainers without a GPU, as small as they can be."""

import psutil
import yaml

from habits import params as settings
from habits.cli import PRESETS

VERL = {
    "platform": "cpu",
    "max_prompt_tokens": 16,
    "max_tokens_per_gpu": 4096,
    "tensor_parallel": 1,
    "gpu_memory_utilization": 0.5,
    "gradient_checkpointing": False,
    "offload": False,
    "critic_mini_batches": 2,
}


def small_params(backend: str, algorithm: str = "ppo", lora_rank: int = 0, **rl: object) -> settings.Params:
    """Settings under which a run of verl's takes a minute or two, nearly all of it its start."""
    raw = yaml.safe_load((PRESETS / "smoke.yaml").read_text())
    raw["countdown"] |= {"train": 256, "validation": 16, "test": 16}
    raw["rollouts"] |= {"problems": 16}
    raw["models"]["plain"] |= {"steps": 200}
    raw["sft"] |= {"optimizer": "adamw", "schedule": "cosine", "epochs": 2, "learning_rate": 0.001}
    raw["rl"] |= {
        "algorithm": algorithm,
        "steps": 6,
        "save_every": 2,
        "prompts_per_step": 16,
        "group_size": 4,
        "mini_batches": 2,
        "max_response_tokens": 24,
        "learning_rate": 0.0005,
        "kl_in_reward": algorithm == "ppo",
        "use_kl_loss": algorithm == "grpo",
        "kl_coef": 0.001 if algorithm in ("ppo", "grpo") else 0.0,
        "kl_penalty": "low_var_kl" if algorithm == "grpo" else "kl",
        **rl,
    }
    raw["training"] |= {"backend": backend, "verl": None}
    if backend == "verl":
        raw["training"]["verl"] = VERL | {"lora_rank": lora_rank}
    raw["matrix"] = [{"model": "plain", "priming": "none", "seeds": [11, 12, 13, 14, 15]}]
    return settings.validate(raw)


def small_social_params() -> settings.Params:
    """The same for social stories: REINFORCE++ from a base model."""
    raw = small_params("verl").model_dump(mode="json")
    raw["models"]["social"] |= {"hidden_size": 64, "layers": 2, "mlp_size": 128, "steps": 250}
    raw["social_iqa"]["rl"] |= {"steps": 4, "save_every": 2, "prompts_per_step": 16, "group_size": 4}
    raw["social_iqa"]["rl"] |= {"learning_rate": 0.0005, "mini_batches": 2}
    raw["training"]["verl"]["max_prompt_tokens"] = 32
    raw["matrix"] = [{"model": "social", "priming": "none", "seeds": [11]}]
    raw["transfer"] = []
    return settings.validate(raw)


def processes(*words: str) -> list[psutil.Process]:
    """Live processes whose command line has all of ``words``."""
    found = psutil.process_iter(["cmdline"])
    return [p for p in found if all(word in " ".join(p.info["cmdline"] or []) for word in words)]
