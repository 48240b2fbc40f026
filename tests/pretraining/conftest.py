"""Shared by the tests of pretraining data: small settings and a corpus that has been through every step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from habits.cli import PRESETS
from habits.params import Params, validate
from habits.pretraining.corpus import write_shard
from habits.pretraining.deduplication import write_duplicates
from habits.pretraining.labels import write_labels
from habits.tasks.countdown.problems import write_problems

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


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder, params = tmp_path_factory.mktemp("pretraining"), settings()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_problems(params, folder / "problems")
        result = Made(folder, params)
        for shard in params.pretraining.shards("embedded"):
            write_shard(params, "embedded", shard, folder / f"corpus/embedded/shard{shard:04d}.parquet")
        write_duplicates(params, "embedded", folder / "corpus", result.repeated)
        for shard, path in enumerate(result.shards):
            out = folder / "labels/embedded" / path.name
            write_labels(params, "embedded", shard, path, result.repeated, out)
    return result
