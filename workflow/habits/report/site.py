"""HTML from templates: escaping, number formats, and a policy that lets a page load nothing.

Every page carries its styles and scripts inline. Its content security policy admits only those
scripts, by hash, and no network at all: text written by a model cannot run, whatever it says.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from habits.params import Params
from habits.progress import clock
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

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("theme.js", "site.js", "rollouts.js")


@dataclass(frozen=True)
class Page:
    """A page of the site: its file, its name in the navigation, its title."""

    file: str
    name: str
    title: str


PAGES = (
    Page("index.html", "Overview", "Do reasoning habits decide what reinforcement learning can improve?"),
    Page("figures.html", "Figures", "Figures"),
    Page("responses.html", "Responses", "Length and language of responses"),
    Page("rollouts.html", "Rollouts", "Rollouts"),
    Page("judges.html", "Judges", "How far the judge can be believed"),
    Page("data.html", "Data", "Priming sets and problems"),
    Page("social.html", "Social IQa", "Reinforcement learning on social situations"),
    Page("runs.html", "Runs", "Runs"),
    Page("settings.html", "Settings", "Settings and provenance"),
)


def pages_of(params: Params) -> tuple[Page, ...]:
    """The pages of a run's site; those about a judge and Social IQa only where there is such a thing."""
    left_out = {"judges.html"} if params.judge == "none" else set()
    left_out |= set() if params.only("social_iqa").matrix else {"social.html"}
    return tuple(page for page in PAGES if page.file not in left_out)


def environment(pages: tuple[Page, ...] = PAGES) -> Environment:
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
        "fragment": lambda values: urlencode(values),
    }
    inline = {name: Markup((TEMPLATES / name).read_text()) for name in ("style.css", *SCRIPTS)}
    made.globals |= {
        "pages": pages,
        "behaviors": BEHAVIORS,
        "reasons": REASONS,
        "agreement": AGREEMENT,
        "points2": functools.partial(points, digits=2),
        "percent2": functools.partial(percent, digits=2),
        "signed3": functools.partial(signed, digits=3),
        "statuses": STATUSES,
        "inline": inline,
        "policy": policy([inline[name] for name in SCRIPTS]),
    }
    return made


def render(templates: Environment, page: Page, **content: Any) -> str:
    """The page as HTML."""
    return templates.get_template(page.file).render(page=page, **content)


def policy(scripts: list[str]) -> str:
    """The content security policy under which exactly ``scripts`` run and nothing is fetched."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
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
