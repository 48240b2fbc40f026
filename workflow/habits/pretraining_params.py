"""Settings of pretraining data: sections ``pretraining``, ``labelling``, ``cascade``, ``rewriting``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from habits.section import Name, Positive, Rate, Section, Share, Weight

GENERATOR = "generator"
RULES = "rules"
VLLM = "vllm"
SYMBOLIC_REWRITER = "symbolic"
REWRITTEN = ("pretraining_curated", "pretraining_negative")


class CorpusSpec(Section):
    """A corpus: where its documents come from and how many of them are taken."""

    source: str = Field(
        min_length=1,
        description="generator, or a glob of parquet or jsonl files (.gz too): a path or any fsspec URL",
    )
    text_column: str = Field("text", description="column of the text")
    documents: Positive = Field(description="the first so many")
    seed: int = Field(0, description="of the generator")


class Pretraining(Section):
    """Documents: which, in shards of what size, and what is dropped or cut."""

    corpora: dict[Name, CorpusSpec]
    shard_documents: Positive = Field(description="documents of a shard, which is one job")
    min_tokens: Positive = Field(description="shorter documents are dropped")
    max_tokens: Positive = Field(description="longer documents are cut at a paragraph")
    near_duplicate: Share = Field(description="estimated Jaccard similarity from which on one is dropped")

    def shards(self, corpus: str) -> range:
        """The numbers of a corpus's shards."""
        return range(-(-self.corpora[corpus].documents // self.shard_documents))


class Labelling(Section):
    """Who counts the behaviors in documents, and how."""

    labeller: str = Field(description="rules, vllm, or one of llm.models")
    model: str = Field(description="vllm: the model that it loads")
    cascade: bool = Field(
        description="ask the model only about documents that rules and a classifier leave open"
    )
    calls: Literal["joint", "separate"] = Field(
        description="one call a document with quotes, or one a behavior and one for problem and domain"
    )
    temperature: Weight | None = Field(description="of sampling; null: the vendor's own")
    max_tokens: Positive = Field(description="a reply is cut off here")
    max_failed_rate: Share = Field(description="share of a shard's documents whose labels may fail")


class Cascade(Section):
    """The planner of cheap labelling: rules, then a classifier, then a language model."""

    sample: Positive = Field(description="labelled documents that it learns from; as many again measure it")
    target_recall: Share = Field(description="of each behavior, against asking about every document")
    target_precision: Share = Field(description="the same")
    seed: int = Field(description="of the sample and its parts")


class Rewriting(Section):
    """The sets made from documents: rich in behaviors (curated), and matched ones without (negative)."""

    corpora: list[Name] = Field(description="corpora whose documents are rewritten")
    rewriter: str = Field(description="symbolic, vllm (labelling.model), or one of llm.models")
    min_behaviors: Positive = Field(description="labelled instances that make a document rich")
    tokens: Positive = Field(description="response tokens of each set at most")
    max_row_tokens: Positive = Field(description="longest response; a longer one is dropped, never cut")
    length_tolerance: Rate = Field(description="largest difference of matched responses, in tokens")
    temperature: Weight | None = Field(description="of a language model; null: the vendor's own")
    max_tokens: Positive = Field(description="a reply is cut off here, and then is no row")
    max_failed_rate: Share = Field(description="share of requests that may stay without a reply")

    @model_validator(mode="after")
    def _room(self) -> Rewriting:
        if self.tokens < self.max_row_tokens:
            raise ValueError("tokens is below max_row_tokens: not one row of that length would fit")
        return self


def mistakes_in(
    pretraining: Pretraining,
    labelling: Labelling,
    rewriting: Rewriting,
    models: list[str],
    primings: set[str],
) -> list[str]:
    """What the sections ask of each other, of ``llm.models`` and of the matrix."""
    known = ", ".join(models) or "(empty)"
    found = []
    if labelling.labeller not in (RULES, VLLM, *models):
        found.append(
            f"labelling.labeller is {labelling.labeller!r}; choose {RULES}, {VLLM}, or of llm.models: {known}"
        )
    if labelling.labeller == RULES and labelling.cascade:
        found.append(
            "labelling.cascade saves questions to a language model, and labelling.labeller is rules: set "
            f"labelling.cascade to false, or labelling.labeller to {VLLM} or one of llm.models: {known}"
        )
    if rewriting.rewriter not in (SYMBOLIC_REWRITER, VLLM, *models):
        found.append(
            f"rewriting.rewriter is {rewriting.rewriter!r}; "
            f"choose {SYMBOLIC_REWRITER}, {VLLM}, or of llm.models: {known}"
        )
    corpora = ", ".join(pretraining.corpora) or "(empty)"
    for number, name in enumerate(rewriting.corpora):
        if name not in pretraining.corpora:
            found.append(
                f"rewriting.corpora.{number} is {name!r}; choose one of pretraining.corpora: {corpora}"
            )
    if primings & set(REWRITTEN) and not rewriting.corpora:
        found.append(
            "matrix: pretraining_curated and pretraining_negative need a corpus in rewriting.corpora"
        )
    return found
