"""A finished drawing, its words, and how it is saved; the panel elements that figures share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from habits.artifacts import replacing, write_text
from habits.figures.marks import Mark, note, noted
from habits.figures.style import BAND_ALPHA, Look
from habits.figures.tables import Series

PNG_DPI = 150
FEW_POINTS = 12
DODGE = 0.05
UNDATED: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Drawing:
    """A figure, its title, its caption (n, what intervals mean) and words for who cannot see it."""

    figure: Figure
    title: str
    caption: str
    alt: str


def save(drawing: Drawing, name: str, out: Path) -> None:
    """Write ``name``.svg, .png, .pdf and .json into ``out``; same input, same bytes.

    The JSON holds title, caption, alt, the size in inches and, as points, the rows behind the figure.
    """
    for kind, metadata in UNDATED.items():
        with replacing(out / f"{name}.{kind}") as temporary:
            drawing.figure.savefig(temporary, format=kind, dpi=PNG_DPI, metadata=metadata)
    width, height = drawing.figure.get_size_inches().tolist()
    words = {"title": drawing.title, "caption": drawing.caption, "alt": drawing.alt}
    card = words | {"size": [width, height], "points": noted(drawing.figure)}
    write_text(_lines(card), out / f"{name}.json")


def _lines(card: dict[str, Any]) -> str:
    """JSON with a line for each point."""
    points = ",\n".join(f"  {json.dumps(row, sort_keys=True)}" for row in card["points"])
    head = json.dumps({key: value for key, value in card.items() if key != "points"}, indent=1)
    return f'{head[:-2]},\n "points": [\n{points}\n ]\n}}\n'


def curves(ax: Axes, drawn: list[tuple[Look, Series]]) -> None:
    """Lines with their intervals: bars side by side where points are few, bands where they are many."""
    for place, (look, series) in enumerate(drawn):
        points = series.points
        steps = points["step"].to_numpy(dtype=float)
        few = len(points) <= FEW_POINTS
        if few:
            gap = np.diff(steps).min() if len(steps) > 1 else 1.0
            steps = steps + (place - (len(drawn) - 1) / 2) * DODGE * gap
        _note_series(ax, look, series, steps)
        means, low, high = (points[column].to_numpy(dtype=float) for column in ("mean", "low", "high"))
        sns.lineplot(
            x=steps,
            y=means,
            ax=ax,
            color=look.color,
            linestyle=look.dashes,
            marker=look.marker if few else None,
            markersize=5.5,
            markeredgewidth=0.5,
            linewidth=1.6,
            errorbar=None,
            clip_on=False,
            zorder=3,
        )
        if few:
            ax.vlines(steps, low, high, color=look.color, linewidth=1.2, zorder=2.5, clip_on=False)
        else:
            ax.fill_between(steps, low, high, color=look.color, alpha=BAND_ALPHA, linewidth=0)


def _note_series(ax: Axes, look: Look, series: Series, places: NDArray[np.float64]) -> None:
    if series.origin is None:
        return
    columns = series.points[["step", "mean", "low", "high"]].to_numpy(dtype=float)
    for place, (step, mean, low, high) in zip(places.tolist(), columns.tolist(), strict=True):
        origin = series.origin.at(**{series.step_column: int(step)})
        numbers = (step, mean, low, high)
        note(ax, Mark((place, mean), look.label, *numbers, origin, series.n_problems, series.n_seeds))


@dataclass(frozen=True)
class Bar:
    """A mean with the ends of its interval; no interval when both ends equal the mean."""

    mean: float
    low: float
    high: float

    @property
    def lengths(self) -> list[list[float]]:
        """Distances below and above the mean, as matplotlib's errorbar wants them."""
        return [[max(0.0, self.mean - self.low)], [max(0.0, self.high - self.mean)]]


def point(ax: Axes, x: Bar, y: Bar, look: Look, *, filled: bool = True, size: float = 8) -> None:
    """A marker with intervals in both directions."""
    ax.errorbar(
        x.mean,
        y.mean,
        xerr=x.lengths,
        yerr=y.lengths,
        color=look.color,
        marker=look.marker,
        markerfacecolor=look.color if filled else "white",
        markeredgecolor="white" if filled else look.color,
        markeredgewidth=0.8,
        markersize=size,
        elinewidth=1.3,
        linestyle="none",
        zorder=3,
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


def axes_words(ax: Axes, title: str, x: str, y: str) -> None:
    """Title and axis labels of a panel; the y axis starts at 0."""
    ax.set(title=title, xlabel=x, ylabel=y)
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))


def seeds(n: int) -> str:
    """``1 seed`` or ``3 seeds``."""
    return f"{n} seed" if n == 1 else f"{n} seeds"
