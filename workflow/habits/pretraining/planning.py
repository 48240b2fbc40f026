"""What a language model will be asked about documents, for `habits plan`.

Reads the first shard of a corpus where it is there; elsewhere documents of the embedded generator, which are
shorter than those of the web, stand in. With ``labelling.cascade`` it reads how many documents
``results/cascade`` leaves open; before it is there, all of them are billed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from habits.artifacts import read_parquet
from habits.llm.plan import Errand
from habits.params import Params
from habits.pretraining.documents import document
from habits.pretraining.labelling import RULE, requests_for
from habits.pretraining.rewriting_by_model import RULE as REWRITING
from habits.pretraining.rewriting_by_model import request_for
from habits.pretraining.rows import SETS
from habits.pretraining_params import REWRITTEN

EXAMPLES = 20  # documents over which lengths are averaged
LABEL_TOKENS = {"joint": 150, "separate": 40}  # of a reply with some quotes; of a sentence and a count
ROW_TOKENS = 350  # of a question, its thoughts and its answer
SPARE = 1.5  # rows asked for, to one that is kept


def document_errands(params: Params, documents: Path, cascade: Path) -> list[Errand]:
    """What labeller and rewriter will be asked; nothing where they are programs or an offline vLLM.

    Args:
        documents: the folder of the corpora.
        cascade: the folder of rule ``cascade``.
    """
    errands = []
    labeller, rewriter = params.labelling.labeller, params.rewriting.rewriter
    if labeller in params.llm.models:
        for corpus, spec in params.pretraining.corpora.items():
            requests = [r for text in _texts(documents / corpus) for r in requests_for(params, text)]
            asked = round(_asked(params, cascade, corpus) * spec.documents)
            calls = min(asked, spec.documents) * len(requests) // EXAMPLES
            tokens = LABEL_TOKENS[params.labelling.calls]
            errands.append(Errand(RULE, corpus, labeller, requests, calls, tokens, examples=True))
    wanted = {run.priming for run in params.runs} & set(REWRITTEN)
    if wanted and rewriter in params.llm.models:
        texts = list(_texts(documents / params.rewriting.corpora[0]))
        for name in SETS:
            requests = [request_for(params, name, text) for text in texts]
            calls = round(SPARE * params.rewriting.tokens / ROW_TOKENS)
            errands.append(Errand(REWRITING, name, rewriter, requests, calls, ROW_TOKENS, examples=True))
    return errands


def _asked(params: Params, cascade: Path, corpus: str) -> float:
    """Share of a corpus that the model reads: the sample, and what the cascade leaves open."""
    table = cascade / "held_out.parquet"
    if not params.labelling.cascade or not table.exists():
        return 1.0
    rows = read_parquet(table)
    found = rows[(rows["corpus"] == corpus) & (rows["strategy"] == "cascade") & (rows["measure"] == "asked")]
    sample = 2 * params.cascade.sample / params.pretraining.corpora[corpus].documents
    return float(found["value"].iloc[0]) + sample if len(found) else 1.0


def _texts(folder: Path) -> Iterator[str]:
    """As many texts of a corpus as there are examples."""
    shard = folder / "shard0000.parquet"
    if shard.exists():
        batch = next(pq.ParquetFile(shard).iter_batches(EXAMPLES, columns=["text"]), None)
        texts = batch.column(0).to_pylist() if batch is not None else []
        if len(texts) == EXAMPLES:
            yield from texts
            return
    yield from (document(0, index).text for index in range(EXAMPLES))
