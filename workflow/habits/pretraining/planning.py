"""What language models will be asked about pretraining documents, for `habits plan`.

Documents are not read for this, as they may have to be downloaded first: a text of a typical length stands
in for each, and how many are rewritten follows from the tokens that the sets hold.
"""

from __future__ import annotations

import math

from habits.llm.plan import Errand
from habits.llm.tokens import estimated_tokens
from habits.params import Params
from habits.pretraining import labelling, rewriting, rewriting_by_model
from habits.pretraining.rows import SETS
from habits.pretraining_params import REWRITTEN

DOCUMENT_TOKENS = 1200  # of web pages about mathematics, roughly
ROW_TOKENS = 700  # of a document that is rewritten, roughly
USABLE = 0.8  # share of replies that become a row, roughly
LABEL_TOKENS = {"joint": 200, "separate": 40}  # of a reply with some quotes; of a count
_SENTENCE = "So 12 times 3 gives 36, and this is what we wanted to show.\n"


def pretraining_errands(params: Params) -> list[Errand]:
    """What the labeller and the rewriter will be asked; nothing where they are programs or not needed."""
    return [*_labels(params), *_rewriting(params)]


def _labels(params: Params) -> list[Errand]:
    settings = params.labelling
    if settings.labeller not in params.llm.models:
        return []
    requests = labelling.requests_for(params, _stand_in())
    tokens = LABEL_TOKENS[settings.calls]
    return [
        Errand(
            labelling.RULE,
            corpus,
            settings.labeller,
            requests,
            spec.documents * len(requests),
            tokens,
            examples=True,
        )
        for corpus, spec in params.pretraining.corpora.items()
    ]


def _rewriting(params: Params) -> list[Errand]:
    """Either set is asked for until it holds its tokens, with some to spare, or the documents are used up."""
    settings = params.rewriting
    asked = settings.rewriter in params.llm.models
    if not asked or not {run.priming for run in params.runs} & set(REWRITTEN):
        return []
    row = min(ROW_TOKENS, settings.max_row_tokens)
    wanted = math.ceil(rewriting.SPARE * settings.tokens / (row * USABLE))
    there = sum(params.pretraining.corpora[corpus].documents for corpus in settings.corpora)
    calls = min(wanted, there // len(SETS))  # A document is rich in behaviors or without any.
    return [
        Errand(
            rewriting_by_model.RULE,
            name,
            settings.rewriter,
            [rewriting_by_model.request_for(params, name, _stand_in())],
            calls,
            row,
            examples=True,
        )
        for name in SETS
    ]


def _stand_in() -> str:
    return _SENTENCE * (DOCUMENT_TOKENS // estimated_tokens(_SENTENCE, "anthropic"))
