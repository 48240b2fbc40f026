"""Figure: does a longer response mean a better one? Across problems, and among responses to one problem."""

from __future__ import annotations

from habits.figures.drawing import Drawing
from habits.figures.lengths import draw_conditions
from habits.figures.style import look
from habits.figures.tables import Tables


def draw(tables: Tables) -> Drawing:
    """Evaluation rollouts of every condition trained with the main algorithm."""
    runs = [run for run in tables.params.runs if run.algorithm == tables.algorithm]
    return draw_conditions(tables, {(run.model, run.priming): look(run.model, run.priming) for run in runs})
