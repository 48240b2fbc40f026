"""Rule ``corpus``: one shard of a corpus, cleaned, cut to the token budget, with fingerprints for duplicates.

Reads what ``pretraining.corpora`` names; writes ``data/corpus/{corpus}/shard{shard}.parquet``, one document a
row. A shard is made from its own documents alone, batch by batch, and appears when it is complete.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from habits.artifacts import replacing, stamp
from habits.params import Params, ParamsError
from habits.pretraining.cleaning import HASHES, clean, cut, exact_key, signature
from habits.pretraining.sources import BATCH, Source, read_source
from habits.priming.language import BEHAVIORS
from habits.progress import Progress

TRUTH = pa.struct(
    [
        *((behavior, pa.int32()) for behavior in BEHAVIORS),
        ("is_problem", pa.bool_()),
        ("is_solution", pa.bool_()),
        ("domain", pa.string()),
        ("copied_from", pa.int64()),
    ]
)
SCHEMA = pa.schema(
    [
        ("document", pa.int64()),
        ("text", pa.string()),
        ("n_tokens", pa.int32()),
        ("truncated", pa.bool_()),
        ("exact_key", pa.int64()),
        ("signature", pa.binary(2 * HASHES)),
        ("truth", TRUTH),
    ]
)


def write_shard(params: Params, corpus: str, shard: int, out: Path) -> None:
    """Write one shard of a corpus.

    Raises:
        ParamsError: there is no such corpus or shard.
        ArtifactError: the source cannot be read.
    """
    settings = params.pretraining
    if corpus not in settings.corpora or shard not in settings.shards(corpus):
        raise ParamsError(f"corpus {corpus!r} shard {shard} is not in pretraining.corpora of params.yaml")
    spec, size = settings.corpora[corpus], settings.shard_documents
    first, stop = shard * size, min((shard + 1) * size, spec.documents)
    progress, seen, kept = Progress(f"corpus {corpus} shard {shard}", stop - first), 0, 0
    with replacing(out) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for sources in _batches(read_source(spec, first, stop)):
            rows = [row for source in sources if (row := _row(params, source)) is not None]
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
            seen, kept = seen + len(sources), kept + len(rows)
            progress.update(seen)
    print(f"[corpus {corpus} shard {shard}] {seen} documents read, {kept} kept", file=sys.stderr, flush=True)
    stamp(out, settings={"corpus": spec.model_dump(), "shard": shard, "size": size}, parents=[])


def _batches(sources: Iterator[Source]) -> Iterator[tuple[Source, ...]]:
    while batch := tuple(islice(sources, BATCH)):
        yield batch


def _row(params: Params, source: Source) -> dict[str, Any] | None:
    """A document's row; None when it is too short."""
    found = cut(clean(source.text), params.pretraining.max_tokens)
    if found.tokens < params.pretraining.min_tokens:
        return None
    truth = source.truth
    return {
        "document": source.index,
        "text": found.text,
        "n_tokens": found.tokens,
        "truncated": found.truncated,
        "exact_key": exact_key(found.text),
        "signature": signature(found.text),
        "truth": truth
        and {
            **{behavior: truth.planted[behavior] for behavior in BEHAVIORS},
            "is_problem": truth.is_problem,
            "is_solution": truth.is_solution,
            "domain": truth.domain,
            "copied_from": truth.copied_from,
        },
    }
