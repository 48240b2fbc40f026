"""Tokens as dollars: what a reply cost, and the most that a request can cost."""

from __future__ import annotations

from habits.llm.requests import Request, Usage
from habits.params import Price

# What vendors add to a prompt: words around each message, and instructions that come with a schema.
ENVELOPE_TOKENS = 64
SCHEMA_TOKENS = 1024


def cost(price: Price, usage: Usage, batch: bool) -> float:
    """Dollars that a reply cost."""
    dollars = (
        usage.input * price.input
        + usage.cached_input * price.cached_input
        + usage.cache_write * price.cache_write
        + usage.output * price.output
    ) / 1e6
    return dollars * (1 - price.batch_discount) if batch else dollars


def worst_case(price: Price, request: Request, batch: bool) -> float:
    """Dollars that a request costs at most."""
    dearest = max(price.input, price.cached_input, price.cache_write)
    return cost(
        price.model_copy(update={"input": dearest}),
        Usage(input=most_input_tokens(request), output=request.max_tokens),
        batch,
    )


def most_input_tokens(request: Request) -> int:
    """Input tokens of a request at most: no tokenizer makes more tokens than there are bytes."""
    texts = (request.system, request.user, request.options, request.schema or "")
    envelope = ENVELOPE_TOKENS + (SCHEMA_TOKENS if request.schema else 0)
    return envelope + sum(len(text.encode("utf-8", "replace")) for text in texts)
