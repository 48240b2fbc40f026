"""`habits plan`: the bill of a run before anything is asked: calls, tokens, dollars, time, and the budget.

Reads the response store, to know what is paid for already and how long replies were; writes nothing, opens
no connection and needs no key (unless vendors are asked to count). What is not stored is estimated: tokens of
a prompt by counting its words (`habits.llm.tokens`), tokens of a reply as the mean of those stored for the
same instructions, else as the step that asks says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date

from habits.llm.prices import cost, worst_case
from habits.llm.requests import Reply, Request, Usage
from habits.llm.store import ReplyStore
from habits.llm.tokens import Counted, estimated_tokens, input_tokens
from habits.params import Llm, LlmModel
from habits.progress import clock

ENOUGH = 20  # stored replies from which the length of further ones is told
OLD = 365  # days after which a price is doubtful
TOKENS_PER_SECOND = 60.0  # of one reply, as a vendor's server writes it
LATENCY = 1.0  # seconds before its first token
BATCH_HOURS = 24  # within which vendors answer a batch; most are done in one


@dataclass(frozen=True)
class Errand:
    """Requests that a step of the workflow will make.

    Attributes:
        rule: the rule that asks.
        subject: the set or run it asks for.
        model: name of the model in ``llm.models``.
        requests: all of them, or examples of what cannot be written yet.
        calls: how many.
        reply_tokens: expected length of a reply, where none are stored.
        examples: the requests are examples, and none of their replies count as stored.
    """

    rule: str
    subject: str
    model: str
    requests: Sequence[Request]
    calls: int
    reply_tokens: float
    examples: bool = False


@dataclass(frozen=True)
class Line:
    """The bill of an errand.

    Attributes:
        calls: requests in all.
        stored: of them, those whose reply is stored and costs nothing again.
        input_tokens, output_tokens: of the rest.
        sync_usd, batch_usd: of the rest; batch is null where the model has no batches.
        cache_usd: what the vendor's prompt cache takes off the sync price at most.
        usd: the one of the two that the settings choose.
        most_usd: the same at its worst, as it is reserved before asking: longest replies, a token a byte.
        seconds: wall time without batches, ``llm.max_in_flight`` requests at once; None: in batches.
        measured: the length of replies is a mean of stored ones.
    """

    rule: str
    subject: str
    model: str
    calls: int
    stored: int
    input_tokens: int
    output_tokens: int
    sync_usd: float
    batch_usd: float | None
    cache_usd: float
    usd: float
    most_usd: float
    seconds: float | None
    measured: bool


@dataclass(frozen=True)
class Plan:
    """The bill of a run.

    Attributes:
        lines: one an errand.
        spent_usd: what all stored replies cost.
        budget_usd: ``llm.budget_usd``.
        notes: what the numbers rest on.
    """

    lines: tuple[Line, ...]
    spent_usd: float
    budget_usd: float
    notes: tuple[str, ...]

    @property
    def usd(self) -> float:
        """What this run is expected to cost."""
        return sum(line.usd for line in self.lines)

    def to_json(self) -> str:
        """The plan as JSON."""
        values = {**asdict(self), "usd": self.usd, "left_usd": self.budget_usd - self.spent_usd}
        return json.dumps(values, indent=1) + "\n"

    def to_text(self) -> str:
        """The plan as a table and what there is to know about it."""
        if not self.lines:
            return "Nothing is asked of a language model behind an API.\n"
        return "\n".join([*_table(self), "", *_verdict(self), *self.notes]) + "\n"


def plan_errands(
    llm: Llm, errands: Sequence[Errand], store: ReplyStore, today: date, counted: Counted | None = None
) -> Plan:
    """The bill of ``errands``. A request that several of them make is billed to the first.

    Args:
        llm: the settings: models, prices, budget.
        errands: what will be asked.
        store: the replies that are paid for.
        today: decides which prices are old.
        counted: what the vendors' own counters say, if they were asked.
    """
    counted = counted or Counted()
    billed: set[str] = set()
    lines = []
    for errand in errands:
        lines.append(_line(llm, errand, store, billed, counted))
        if not errand.examples:
            billed |= {request.key for request in errand.requests}
    guessed = dict.fromkeys(errand.rule for errand in errands if errand.examples)
    return Plan(
        tuple(lines),
        sum(usd for _, usd in store.payments()),
        llm.budget_usd,
        (*_notes(llm, lines, today, counted), *_guesses(guessed)),
    )


def examples_of(errands: Sequence[Errand]) -> dict[tuple[str, str], list[Request]]:
    """(rule, model) -> the requests that errands name."""
    examples: dict[tuple[str, str], list[Request]] = {}
    for errand in errands:
        examples.setdefault((errand.rule, errand.model), []).extend(errand.requests)
    return examples


def _line(llm: Llm, errand: Errand, store: ReplyStore, billed: set[str], counted: Counted) -> Line:
    entry = llm.models[errand.model]
    known = store.get(request.key for request in errand.requests if not errand.examples)
    own = {request.key: request for request in errand.requests if request.key not in billed}
    ahead = [request for key, request in own.items() if key not in known]
    shared = len(errand.requests) - len(own)
    calls = max(errand.calls - shared, 0)
    stored = len(own) - len(ahead)
    left = calls - stored
    lengths = _lengths(errand, known, counted)
    examples = ahead or list(errand.requests)
    read = round(left * lengths.input_ratio * sum(map(input_tokens, examples)) / max(len(examples), 1))
    written = round(left * lengths.output)
    batch = llm.batch and entry.batches
    worst = sum(worst_case(entry.price, request, batch) for request in examples)
    usage = Usage(input=read, output=written)
    return Line(
        rule=errand.rule,
        subject=errand.subject,
        model=errand.model,
        calls=calls,
        stored=stored,
        input_tokens=read,
        output_tokens=written,
        sync_usd=cost(entry.price, usage, batch=False),
        batch_usd=cost(entry.price, usage, batch=True) if entry.batches else None,
        cache_usd=_cache_savings(entry, examples, left),
        usd=cost(entry.price, usage, batch),
        most_usd=left * worst / max(len(examples), 1),
        seconds=None if batch else left * (LATENCY + lengths.output / TOKENS_PER_SECOND) / llm.max_in_flight,
        measured=lengths.measured,
    )


@dataclass(frozen=True)
class _Lengths:
    """Tokens of a reply, and how many input tokens are billed for one that is estimated."""

    output: float
    input_ratio: float
    measured: bool


def _lengths(errand: Errand, known: dict[str, Reply], counted: Counted) -> _Lengths:
    if len(known) < ENOUGH:
        ratio = counted.ratios.get((errand.rule, errand.model), 1.0)
        return _Lengths(errand.reply_tokens, ratio, measured=False)
    usages = [reply.usage for reply in known.values()]
    billed = sum(usage.input + usage.cached_input + usage.cache_write for usage in usages)
    estimated = sum(input_tokens(request) for request in errand.requests if request.key in known)
    return _Lengths(sum(usage.output for usage in usages) / len(usages), billed / estimated, measured=True)


def _cache_savings(entry: LlmModel, requests: Sequence[Request], calls: int) -> float:
    """What the cache saves at most, if all but the first call find the system block in it."""
    block = estimated_tokens(requests[0].system, entry.provider) if requests else 0
    if not calls or block < entry.price.cached_from:
        return 0.0
    once = cost(entry.price, Usage(cache_write=block), batch=False)
    reads = cost(entry.price, Usage(cached_input=block * (calls - 1)), batch=False)
    return max(cost(entry.price, Usage(input=block * calls), batch=False) - once - reads, 0.0)


HEAD = (
    "rule",
    "for",
    "model",
    "calls",
    "stored",
    "tokens in",
    "tokens out",
    "at once",
    "in batches",
    "cache",
)


def _table(plan: Plan) -> list[str]:
    rows = [HEAD, *(_cells(line) for line in plan.lines), _total(plan.lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = []
    for row in rows:
        words = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)]
        lines.append("  ".join([*words, *numbers]).rstrip())
    rule = "-" * max(map(len, lines))
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.rule,
        line.subject,
        line.model,
        f"{line.calls:,}",
        f"{line.stored:,}",
        f"{line.input_tokens:,}",
        f"{line.output_tokens:,}" + ("*" if line.measured else " "),
        _dollars(line.sync_usd),
        "-" if line.batch_usd is None else _dollars(line.batch_usd),
        _saved(line.cache_usd),
    )


def _total(lines: Sequence[Line]) -> tuple[str, ...]:
    in_batches = sum(line.sync_usd if line.batch_usd is None else line.batch_usd for line in lines)
    return (
        "total",
        "",
        "",
        f"{sum(line.calls for line in lines):,}",
        f"{sum(line.stored for line in lines):,}",
        f"{sum(line.input_tokens for line in lines):,}",
        f"{sum(line.output_tokens for line in lines):,} ",
        _dollars(sum(line.sync_usd for line in lines)),
        _dollars(in_batches),
        _saved(sum(line.cache_usd for line in lines)),
    )


def _verdict(plan: Plan) -> list[str]:
    """Whether the budget holds the run, and how long it takes."""
    most = sum(line.most_usd for line in plan.lines)
    left = plan.budget_usd - plan.spent_usd
    fits = "fits" if plan.usd <= left else "does NOT fit"
    stop = ["Should it come to that, it stops at the budget and goes on once that is raised."]
    seconds = sum(line.seconds or 0.0 for line in plan.lines)
    times = (
        [f"{clock(seconds)} for what is asked at once, if the vendor's rate limit allows"] if seconds else []
    )
    if any(line.seconds is None and line.calls > line.stored for line in plan.lines):
        times.append(f"what goes in batches is back within {BATCH_HOURS} h, mostly within one")
    return [
        f"Budget: {_dollars(plan.budget_usd)} (llm.budget_usd), spent {_dollars(plan.spent_usd)}. "
        f"This run: {_dollars(plan.usd)}, which {fits}; at the very most {_dollars(most)}.",
        *(stop if most > left else []),
        f"Time: {'; '.join(times) or 'none, everything is stored'}.",
    ]


def _notes(llm: Llm, lines: Sequence[Line], today: date, counted: Counted) -> Iterator[str]:
    for name in dict.fromkeys(line.model for line in lines):
        price = llm.models[name].price
        old = f"; {(today - price.as_of).days} days old, check it" if (today - price.as_of).days > OLD else ""
        yield (
            f"Price of {name} ({llm.models[name].model}) per million tokens: ${price.input:g} in, "
            f"${price.output:g} out, {price.batch_discount:.0%} off in batches; list of {price.as_of}{old}."
        )
    by_vendors = ", ".join(f"of {rule} by {model}" for rule, model in counted.ratios)
    yield (
        f"Tokens in are counted {f'by the vendor on examples ({by_vendors}), else ' if by_vendors else ''}"
        "roughly, by words; tokens out are expected, or (*) a mean of stored replies."
    )
    yield from counted.notes
    if any(line.cache_usd for line in lines):
        yield "cache: what prompt caching takes off the price at once at most; the totals do not count on it."


def _guesses(rules: Iterable[str]) -> Iterator[str]:
    if told := ", ".join(rules):
        yield (
            f"Not all requests are known yet ({told}): they are estimated from examples, and replies to them "
            "that are stored already are not taken off."
        )


def _saved(amount: float) -> str:
    return f"-{_dollars(amount)}" if amount else "-"


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}"
