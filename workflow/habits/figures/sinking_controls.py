"""Figure: the controls that could sink the story; more tokens, more tries, giving up."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from habits.analysis.controls import ControlRow
from habits.artifacts import ArtifactError
from habits.figures.drawing import Bar, Drawing, point, seeds
from habits.figures.marks import Mark, note
from habits.figures.style import CONDITIONS
from habits.figures.tables import Tables

TITLES = {
    "matched_tokens": "Same number of rollout tokens",
    "pass_at_k": "As many samples as tries",
    "give_up": "What wrong endings look like",
}


def draw(tables: Tables) -> Drawing:
    """One panel a control that the matrix holds, one point a condition."""
    rows = _rows(tables)
    figure = Figure(figsize=(8.6, 0.6 + 1.45 * len(rows)))
    panels = figure.subplots(len(rows), 1, squeeze=False, sharex=True)[:, 0]
    for ax, (control, part) in zip(panels, rows.items(), strict=True):
        _draw_panel(ax, TITLES[control], part)
        note(ax, *(_mark(place, row, tables) for place, row in enumerate(part)))
    panels[-1].set(xlabel="Share of problems solved", xlim=(0, None))
    notes = {f"{TITLES[c]}: {row.note}" for c, part in rows.items() for row in part if row.note}
    problems = max(row.n_problems for part in rows.values() for row in part)
    reached = all(row.reached for part in rows.values() for row in part)
    opened = "" if reached else " Open markers: the control fell short of what it should match."
    confidence = tables.params.statistics.confidence
    return Drawing(
        figure,
        "Is it more than tokens, tries, or a different ending?",
        f"n = {problems} held-out problems a seed. Bars: {confidence:.0%} bootstrap intervals over seeds and "
        f"problems, over problems alone with one seed.{opened} {'. '.join(sorted(notes))}. pass@k counts a "
        "problem as solved when one of k samples is right, so it is an oracle that the primed model does not "
        "have. The paper ran no such controls.",
        "Three panels of points with intervals, share of problems solved: primed against unprimed at equal "
        "rollout tokens; primed against unprimed with several samples; three kinds of priming endings.",
    )


def _rows(tables: Tables) -> dict[str, list[ControlRow]]:
    """Rows by control, in the order of the panels; ArtifactError when a number is missing."""
    table = tables.read("sinking_controls")
    if table[["mean", "low", "high"]].isna().any(axis=None):
        raise ArtifactError(
            f"{tables.folder}/sinking_controls.parquet has gaps; compute the statistics again"
        )
    records = [ControlRow(**{str(k): v for k, v in r.items()}) for r in table.to_dict("records")]
    rows = {control: [row for row in records if row.control == control] for control in TITLES}
    return {control: part for control, part in rows.items() if part}


def _draw_panel(ax: Axes, title: str, rows: list[ControlRow]) -> None:
    for place, row in enumerate(rows):
        level = Bar(place, place, place)
        point(ax, Bar(row.mean, row.low, row.high), level, CONDITIONS[row.priming], filled=row.reached)
    ax.set_yticks(range(len(rows)), [_label(row) for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_title(title)
    ax.grid(axis="y", visible=False)


def _mark(place: int, row: ControlRow, tables: Tables) -> Mark:
    origin = tables.origin(
        "sinking_controls",
        control=row.control,
        model=row.model,
        priming=row.priming,
        algorithm=row.algorithm,
        rl_step=row.rl_step,
        k=row.k,
    )
    numbers = (row.mean, row.low, row.high)
    return Mark((row.mean, place), _label(row), None, *numbers, origin, row.n_problems, row.n_seeds)


def _label(row: ControlRow) -> str:
    """Words of one point: what it is, how much it was given, from how many seeds."""
    tokens = row.cumulative_rollout_tokens / 1e6
    given = {
        "matched_tokens": f", step {row.rl_step}, {tokens:.2f} M tokens",
        "pass_at_k": f", pass@{row.k}" if row.k > 1 else ", one response",
    }
    return f"{row.role}{given.get(row.control, '')} ({seeds(row.n_seeds)})"
