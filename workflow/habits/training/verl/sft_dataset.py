"""verl's SFT dataset for our traces: the tokens of `encode_prompt` and `encode_response`, as everywhere.

Loss on response tokens alone, end-of-sequence included.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from habits.models.tokenizer import encode_prompt, encode_response


class TraceDataset(Dataset[dict[str, torch.Tensor]]):
    """Rows of a traces parquet (columns prompt and response); verl builds it (``data.custom_cls``)."""

    def __init__(
        self,
        parquet_files: Any,
        tokenizer: PreTrainedTokenizerBase,
        config: Any,
        processor: Any = None,
        max_samples: int = -1,
    ) -> None:
        files = [parquet_files] if isinstance(parquet_files, str) else list(parquet_files)
        frame = pd.concat([pd.read_parquet(file, columns=["prompt", "response"]) for file in files])
        self.rows = list(zip(frame["prompt"], frame["response"], strict=True))
        self.tokenizer, self.longest = tokenizer, int(config.max_length)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        prompt, response = self.rows[index]
        prompt_ids = encode_prompt(self.tokenizer, prompt)
        ids = [*prompt_ids, *encode_response(self.tokenizer, response)]
        if len(ids) > self.longest:
            raise ValueError(f"trace {index} has {len(ids)} tokens, more than {self.longest}")
        loss = [0] * len(prompt_ids) + [1] * (len(ids) - len(prompt_ids))
        return {
            "input_ids": torch.tensor(ids),
            "position_ids": torch.arange(len(ids)),
            "loss_mask": torch.tensor(loss),
        }
