"""Rule ``deduplication``: the documents of a corpus that repeat an earlier one, exactly or nearly.

Reads the fingerprints in ``data/corpus/{corpus}/shard*.parquet``; writes
``data/deduplication/{corpus}.parquet``, one row a repeated document. Signatures lie in a file in scratch/
while this runs. Candidates share one of 16 bands of 4 values with an earlier document (similarity 0.8: found
with probability 0.9998); whole signatures decide. Band by band and part by part: what is in memory does not
grow with the corpus, but for 29 bytes a document.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from habits.artifacts import ArtifactError, replacing, stamp
from habits.params import Params
from habits.pretraining.cleaning import HASHES, similarity
from habits.progress import Progress

SCHEMA = pa.schema(
    [
        ("document", pa.int64()),
        ("repeats", pa.int64()),
        ("kind", pa.string()),
        ("similarity", pa.float32()),
    ]
)
SCRATCH = Path("scratch/deduplication")
BANDS = HASHES // 4
WIDTH = 2 * HASHES  # bytes of a signature
CHUNK = 65_536  # signatures read at once
PART = 250_000  # documents whose keys are compared at once

Integers = NDArray[np.int64]


def write_duplicates(params: Params, corpus: str, folder: Path, out: Path) -> None:
    """Find the repeated documents of a corpus.

    Args:
        folder: of the corpora.

    Raises:
        ArtifactError: a shard is missing.
    """
    shards = [folder / corpus / f"shard{shard:04d}.parquet" for shard in params.pretraining.shards(corpus)]
    for shard in shards:
        if not shard.exists():
            raise ArtifactError(f"{shard} does not exist; make it with `snakemake --cores all {shard}`")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    store = SCRATCH / f"{corpus}.{os.getpid()}.signatures"
    try:
        documents, exact = _collect(shards, store)
        found = _Found(documents, store, params.pretraining.near_duplicate)
        found.exact(exact)
        progress = Progress(f"deduplication {corpus}", BANDS)
        for band in range(BANDS):
            found.near(band)
            progress.update(band + 1)
        table = found.table()
    finally:
        store.unlink(missing_ok=True)
    with replacing(out) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    counts = table["kind"].value_counts().to_pylist()
    told = ", ".join(f"{entry['counts']} {entry['values']}" for entry in counts) or "none"
    print(
        f"[deduplication {corpus}] of {len(documents)} documents repeated: {told}",
        file=sys.stderr,
        flush=True,
    )
    stamp(out, settings={"near_duplicate": params.pretraining.near_duplicate}, parents=shards)


def _collect(shards: list[Path], store: Path) -> tuple[Integers, Integers]:
    """Write all signatures to ``store``; the documents' numbers and exact keys, in the same order."""
    documents, exact = [], []
    with store.open("wb") as file:
        for shard in shards:
            for batch in pq.ParquetFile(shard).iter_batches(
                CHUNK, columns=["document", "exact_key", "signature"]
            ):
                documents.append(batch.column(0).to_numpy())
                exact.append(batch.column(1).to_numpy())
                file.write(b"".join(batch.column(2).to_pylist()))
    empty = [np.zeros(0, np.int64)]
    return np.concatenate(documents or empty), np.concatenate(exact or empty)


class _Found:
    """Repeated documents as they are found.

    Args:
        documents: their numbers, in the order of the corpus.
        store: the file of their signatures.
        threshold: similarity from which on two are the same.
    """

    def __init__(self, documents: Integers, store: Path, threshold: float) -> None:
        self.documents, self.store, self.threshold = documents, store, threshold
        self.first = np.full(len(documents), -1)  # place of the document that each one repeats
        self.similarity = np.zeros(len(documents), np.float32)
        self.is_exact = np.zeros(len(documents), np.bool_)

    def exact(self, keys: Integers) -> None:
        """Note all documents whose key an earlier one has."""
        parts = -(-len(keys) // PART)
        for part in range(parts):
            mine = np.flatnonzero(keys % parts == part)
            for place, first in _pairs(keys[mine], mine):
                if self.first[place] < 0:
                    self._note(place, first, 1.0)
                    self.is_exact[place] = True

    def near(self, band: int) -> None:
        """Note the documents that share a band, and enough of the whole signature, with an earlier one."""
        parts = -(-len(self.documents) // PART)
        with self.store.open("rb") as file:
            for part in range(parts):
                keys, places = self._keys(band, part, parts)
                for place, first in _pairs(keys, places):
                    if self.first[place] < 0:
                        near = similarity(_signature(file.fileno(), place), _signature(file.fileno(), first))
                        if near >= self.threshold:
                            self._note(place, first, near)

    def _note(self, place: int, first: int, near: float) -> None:
        self.first[place], self.similarity[place] = first, near

    def _keys(self, band: int, part: int, parts: int) -> tuple[Integers, Integers]:
        keys, places = [], []
        for start in range(0, len(self.documents), CHUNK):
            read = np.fromfile(self.store, np.int64, CHUNK * BANDS, offset=start * WIDTH)
            column = read.reshape(-1, BANDS)[:, band].copy()
            mine = np.flatnonzero(column.view(np.uint64) % np.uint64(parts) == part)
            keys.append(column[mine])
            places.append(mine + start)
        return np.concatenate(keys), np.concatenate(places)

    def table(self) -> pa.Table:
        """The repeated documents, in order."""
        places = np.flatnonzero(self.first >= 0)
        return pa.table(
            {
                "document": self.documents[places],
                "repeats": self.documents[self.first[places]],
                "kind": np.where(self.is_exact[places], "exact", "near").tolist(),
                "similarity": self.similarity[places],
            },
            schema=SCHEMA,
        )


def _pairs(keys: Integers, places: Integers) -> Iterator[tuple[int, int]]:
    """Places of equal keys: each but the first, with the first one and with the one before."""
    order = np.lexsort((places, keys))
    keys, places = keys[order], places[order]
    same = np.flatnonzero(keys[1:] == keys[:-1]) + 1
    first = -1
    for here in same.tolist():
        if first < 0 or keys[first] != keys[here]:
            first = here - 1
        yield int(places[here]), int(places[first])
        if first != here - 1:
            yield int(places[here]), int(places[here - 1])


def _signature(file: int, place: int) -> bytes:
    return os.pread(file, WIDTH, place * WIDTH)
