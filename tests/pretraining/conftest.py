"""A small corpus that has been through every step."""

import pytest
from small_corpus import Made, settings

from habits.pretraining.corpus import write_shard
from habits.pretraining.deduplication import write_duplicates
from habits.pretraining.labels import write_labels
from habits.tasks.countdown.problems import write_problems


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
            write_labels(params, "embedded", shard, path, result.repeated, folder / "cascade", out)
    return result
