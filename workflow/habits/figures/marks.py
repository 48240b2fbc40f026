"""The rows behind a figure: for every drawn point its numbers, the table they come from, and where it lies.

Panels note their points while they are drawn (`note`); `drawing.save` writes them beside the figure, and the
report turns them into a table and into places on the picture that lead to its rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from matplotlib.axes import Axes
from matplotlib.figure import Figure

PUBLISHED = "workflow/published/cognitive_behaviors.csv"
DIGITS = 6


@dataclass(frozen=True)
class Origin:
    """Where a number was read: a table, and the columns that pick its row."""

    table: str
    where: dict[str, str | int | float] = field(default_factory=dict)

    def at(self, **columns: str | int | float) -> Origin:
        """The same table with more columns picked."""
        return Origin(self.table, self.where | columns)


@dataclass(frozen=True)
class Mark:
    """A drawn point.

    Attributes:
        at: its place in the data coordinates of its panel.
        series: what the legend calls it.
        x: what it stands over (an RL step, a length, another measure); None when only its series tells.
        value: the number shown; low and high bound its interval (NaN without one).
        n_problems, n_seeds: what the number rests on; 0 when its table does not say.
    """

    at: tuple[float, float]
    series: str
    x: float | None
    value: float
    low: float
    high: float
    origin: Origin
    n_problems: int = 0
    n_seeds: int = 0


_NOTED: WeakKeyDictionary[Axes, list[Mark]] = WeakKeyDictionary()


def note(ax: Axes, *marks: Mark) -> None:
    """Remember the rows behind points of a panel."""
    _NOTED.setdefault(ax, []).extend(marks)


def noted(figure: Figure) -> list[dict[str, Any]]:
    """The rows of all panels as JSON values; left and top are shares of the figure's width and height."""
    figure.draw_without_rendering()
    return [_row(figure, ax, mark) for ax in figure.axes for mark in _visible(ax)]


def _visible(ax: Axes) -> Iterator[Mark]:
    return (mark for mark in _NOTED.get(ax, []) if math.isfinite(mark.value))


def _row(figure: Figure, ax: Axes, mark: Mark) -> dict[str, Any]:
    left, bottom = figure.transFigure.inverted().transform(ax.transData.transform(mark.at))
    above = ax.figure.get_suptitle() if ax.figure is not figure else ""
    row = asdict(mark) | {
        "panel": ": ".join(filter(None, (above, ax.get_title(loc="left")))),
        "left": round(float(left), 4),
        "top": round(1 - float(bottom), 4),
    }
    del row["at"]
    for name in ("x", "value", "low", "high"):
        value = row[name]
        row[name] = None if value is None or not math.isfinite(value) else round(float(value), DIGITS)
    return row
