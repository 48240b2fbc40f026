"""Small settings for the tests of pretraining data, and where a corpus that went through every step lies."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from habits.cli import PRESETS
from habits.params import Params, validate

DOCUMENTS = 900


def settings(**sections: dict[str, Any]) -> Params:
    """The smoke preset with three shards of a corpus, and keys of sections changed."""
    raw = yaml.safe_load((PRESETS / "smoke.yaml").read_text())
    raw["pretraining"] |= {
        "corpora": {"embedded": {"source": "generator", "documents": DOCUMENTS, "seed": 4}},
        "shard_documents": 300,
    }
    for section, values in sections.items():
        raw[section] |= values
    return validate(raw)


@dataclass(frozen=True)
class Made:
    """A folder with problems and a labelled corpus."""

    folder: Path
    params: Params

    @property
    def shards(self) -> list[Path]:
        return sorted(self.folder.glob("corpus/embedded/*.parquet"))

    @property
    def repeated(self) -> Path:
        return self.folder / "deduplication/embedded.parquet"
