"""HTML from templates: pages, escaping, number formats, and a policy that lets a page load nothing.

Every page carries its styles and scripts inline. Its content security policy admits only those
scripts, by hash, and no network at all: text written by a model cannot run, whatever it says.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from habits.params import Params
from habits.progress import clock
from habits.report.experiments import EXPERIMENTS
from habits.report.inputs import Inputs
from habits.report.labels import (
    AGREEMENT,
    BEHAVIORS,
    REASONS,
    STATUSES,
    algorithm_name,
    metric_name,
    priming_name,
    words,
)
from habits.report.material import Material

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("theme.js", "site.js", "rollouts.js")


def _always(params: Params) -> bool:
    return True


def _nothing(params: Params, inputs: Inputs) -> list[Path]:
    return []


@dataclass(frozen=True)
class Page:
    """A page of the site.

    Attributes:
        file: its file.
        name: its name in the navigation.
        title: its heading.
        content: what its template shows.
        group: pages of a group share one entry in the navigation, and a second row of links.
        template: file in templates/; the page's own name unless given.
        shown: whether the settings in effect give it anything to say.
        loads: whether its script loads data files that stand beside it.
        reads: artifacts that it needs besides `Inputs.files`; said to be missing before anything is written.
    """

    file: str
    name: str
    title: str
    content: Callable[[Material], Mapping[str, Any]]
    group: str = ""
    template: str = ""
    shown: Callable[[Params], bool] = _always
    loads: bool = False
    reads: Callable[[Params, Inputs], list[Path]] = _nothing


@dataclass(frozen=True)
class Entry:
    """An entry of the navigation: a page, or a group of pages named by its first."""

    name: str
    pages: tuple[Page, ...]


def navigation(pages: Sequence[Page]) -> list[Entry]:
    """The entries in the order of the pages; a group stands where its first page does."""
    grouped: dict[str, list[Page]] = {}
    for page in pages:
        grouped.setdefault(page.group or page.name, []).append(page)
    return [Entry(name, tuple(members)) for name, members in grouped.items()]


def environment(pages: Sequence[Page] = ()) -> Environment:
    """The templates with all they may use; an undefined name is an error, not an empty string."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": percent,
        "points": points,
        "count": count,
        "number": number,
        "clock": clock,
        "signed": signed,
        "change": change,
        "words": words,
        "priming": priming_name,
        "algorithm": algorithm_name,
        "metric": metric_name,
        "million": million,
        "probability": probability,
        "plain": plain,
        "tail": lambda path: path.rpartition("/")[2],
        "fragment": lambda values: urlencode(values),
    }
    inline = {name: Markup((TEMPLATES / name).read_text()) for name in ("style.css", *SCRIPTS)}
    made.globals |= {
        "navigation": navigation(pages),
        "behaviors": BEHAVIORS,
        "reasons": REASONS,
        "agreement": AGREEMENT,
        "points2": functools.partial(points, digits=2),
        "percent2": functools.partial(percent, digits=2),
        "signed3": functools.partial(signed, digits=3),
        "statuses": STATUSES,
        "inline": inline,
        "figure_pages": {name: e.file for e in EXPERIMENTS for name in e.figures},
        "policy": policy([inline[name] for name in SCRIPTS]),
        "loading_policy": policy([inline[name] for name in SCRIPTS], "'self' file:"),
    }
    return made


def render(templates: Environment, page: Page, **content: Any) -> str:
    """The page as HTML."""
    return templates.get_template(page.template or page.file).render(page=page, **content)


def policy(scripts: list[str], sources: str = "") -> str:
    """The content security policy under which exactly ``scripts`` run and nothing is fetched.

    Args:
        sources: where further scripts may come from; the rollout browser loads those that stand beside it.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts
    )
    allowed = " ".join(filter(None, (hashes, sources)))
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage; an en dash when there is none."""
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f}%"


def points(difference: float, digits: int = 1) -> str:
    """A difference of shares in percentage points, with its sign (a true minus)."""
    return signed(100 * difference, digits)


def number(value: float, digits: int = 2) -> str:
    """A number with fixed digits and a true minus; an en dash when there is none."""
    return "–" if math.isnan(value) else f"{value:,.{digits}f}".replace("-", "−")


def plain(value: float | None) -> str:
    """A number of a figure in four digits; an en dash when there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.4g}".replace("-", "−")


def count(value: int) -> str:
    """An integer with thousands separated."""
    return f"{value:,}"


def probability(value: float) -> str:
    """A p-value with its relation sign: ``= 0.041``, or ``< 0.001``."""
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"


def million(parameters: int) -> str:
    """A parameter count such as ``0.8M`` or ``3.1B``."""
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.2g}M"


def change(value: float) -> str:
    """A difference of two digits with its sign; an en dash when there is none."""
    return "–" if math.isnan(value) else signed(value)


def signed(value: float, digits: int = 2) -> str:
    """A difference with its sign (a true minus); a rounded zero has none."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]
