"""Figure: the controls that could sink the story; more tokens, more tries, giving up."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from habits.figures.drawing import Drawing, seeds
from habits.figures.style import CONDITIONS
from habits.figures.tables import Tables

TITLES = {
    "matched_tokens": "Same number of rollout tokens",
    "pass_at_k": "As many samples as tries",
    "give_up": "What wrong endings look like",
}


def draw(tables: Tables) -> Drawing:
    """One panel a control that the matrix holds, one point a condition."""
    table = tables.read("sinking_controls")
    controls = [c for c in TITLES if (table.control == c).any()]
    rows = [table[table.control == c] for c in controls]
    figure = Figure(figsize=(8.6, 0.8 + 1.45 * len(controls)))
    panels = figure.subplots(len(controls), 1, squeeze=False, sharex=True)[:, 0]
    for ax, control, part in zip(panels, controls, rows, strict=True):
        _draw_panel(ax, TITLES[control], part)
    panels[-1].set(xlabel="Share of problems solved", xlim=(0, None))
    notes = [f"{TITLES[c]}: {note}" for c, part in zip(controls, rows, strict=True) for note in _notes(part)]
    settings = tables.params.statistics
    return Drawing(
        figure,
        "Is it more than tokens, tries, or a different ending?",
        f"n = {table.n_problems.max()} held-out problems a seed. Bars: {settings.confidence:.0%} bootstrap intervals "
        f"over seeds and problems, over problems alone with one seed. {'. '.join(notes)}. pass@k counts a problem "
        "as solved when one of k samples is right, so it is an oracle that the primed model does not have. The "
        "paper ran no such controls.",
        "Three panels of points with intervals, share of problems solved: primed against unprimed at equal "
        "rollout tokens; primed against unprimed with several samples; three kinds of priming endings.",
    )


def _draw_panel(ax: Axes, title: str, part: pd.DataFrame) -> None:
    for place, row in enumerate(part.itertuples()):
        appearance = CONDITIONS[str(row.priming)]
        ax.errorbar(
            row.mean,
            place,
            xerr=[[row.mean - row.low], [row.high - row.mean]],
            color=appearance.color,
            marker=appearance.marker,
            markersize=7,
            elinewidth=1.6,
            markerfacecolor=appearance.color if row.reached else "white",
        )
    ax.set_yticks(range(len(part)), [_label(row) for row in part.itertuples()])
    ax.set_ylim(len(part) - 0.5, -0.5)
    ax.set_title(title)
    ax.grid(axis="y", visible=False)


def _label(row: object) -> str:
    """Words of one point: what it is, at which step, from how many seeds."""
    role, control = row.role, row.control
    extra = {
        "matched_tokens": f", {row.cumulative_rollout_tokens / 1e6:.2f} M tokens",
        "pass_at_k": f", pass@{row.k}" if row.k > 1 else ", one response",
        "give_up": "",
    }[control]
    return f"{role}{extra} ({seeds(row.n_seeds)})"


def _notes(part: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(str(note) for note in part.note if note))
