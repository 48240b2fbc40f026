"""Stands in for the package vllm in the worker's process: answers from a file, and dies once if it is told
to.
"""

import json
import os
from pathlib import Path
from types import SimpleNamespace


class LLM:
    def __init__(self, **settings: object) -> None:
        assert settings["enable_prefix_caching"]
        self.parts = 0

    def chat(self, chats: list, sampling: list, use_tqdm: bool) -> list:
        if self.parts == 1 and not Path("died").exists():
            Path("died").touch()
            os._exit(9)
        self.parts += 1
        with Path("asked").open("a") as file:
            file.writelines(f"{json.dumps(chat[1]['content'])}\n" for chat in chats)
        said = json.loads(Path("said.json").read_text())
        found = SimpleNamespace(text=said, finish_reason="stop", token_ids=[1, 2])
        return [SimpleNamespace(prompt_token_ids=[1], outputs=[found]) for _ in chats]


class SamplingParams(SimpleNamespace):
    pass


class StructuredOutputsParams(SimpleNamespace):
    pass
