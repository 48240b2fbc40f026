"""A finished drawing, its words, and how it is saved; the panel elements that figures share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D

from habits.artifacts import replacing, write_text
from habits.figures.style import BAND_ALPHA, Look
from habits.figures.tables import Series

PNG_DPI = 150
UNDATED: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Drawing:
    """A figure with its title, caption (n, what the intervals mean) and a description for who cannot see it."""

    figure: Figure
    title: str
    caption: str
    alt: str


def save(drawing: Drawing, name: str, out: Path) -> None:
    """Write ``name``.svg, .png, .pdf and .json (title, caption, alt) into ``out``; same input, same bytes."""
    for kind, metadata in UNDATED.items():
        with replacing(out / f"{name}.{kind}") as temporary:
            drawing.figure.savefig(temporary, format=kind, dpi=PNG_DPI, metadata=metadata)
    words = {"title": drawing.title, "caption": drawing.caption, "alt": drawing.alt}
    write_text(json.dumps(words, indent=1) + "\n", out / f"{name}.json")


def curve(ax: Axes, series: Series, look: Look, *, markers: bool = True) -> None:
    """A line with its interval as a band."""
    points = series.points
    sns.lineplot(
        x=points["step"].to_numpy(),
        y=points["mean"].to_numpy(),
        ax=ax,
        color=look.color,
        linestyle=look.dashes,
        marker=look.marker if markers else None,
        markersize=5.5,
        markeredgewidth=0.5,
        linewidth=1.6,
        errorbar=None,
        clip_on=False,
        zorder=3,
    )
    ax.fill_between(
        points["step"], points["low"], points["high"], color=look.color, alpha=BAND_ALPHA, linewidth=0
    )


def handle(look: Look, label: str | None = None) -> Line2D:
    """The legend entry of a look."""
    return Line2D(
        [],
        [],
        color=look.color,
        linestyle=look.dashes,
        marker=look.marker,
        linewidth=1.6,
        label=label or look.label,
    )


def legend(figure: FigureBase, handles: list[Line2D], title: str) -> None:
    """A legend right of all panels, outside of them."""
    figure.legend(handles=handles, title=title, loc="outside right center")


def axes_words(ax: Axes, title: str, x: str, y: str) -> None:
    """Title and axis labels of a panel; the y axis starts at 0."""
    ax.set(title=title, xlabel=x, ylabel=y)
    ax.set_ylim(bottom=0)


def seeds(n: int) -> str:
    """``1 seed`` or ``3 seeds``."""
    return f"{n} seed" if n == 1 else f"{n} seeds"
