"""Figure: does a longer response mean a better one on Social IQa? As `cot_length`, one line a model."""

from __future__ import annotations

from habits.figures.drawing import Drawing
from habits.figures.lengths import draw_conditions
from habits.figures.style import Look
from habits.figures.tables import Tables

LOOKS = (("#0173B2", "o"), ("#DE8F05", "s"), ("#029E73", "D"), ("#CC78BC", "^"))


def draw(tables: Tables) -> Drawing:
    """Evaluation rollouts of every model that RL trained with the main algorithm."""
    models = list(dict.fromkeys(run.model for run in tables.params.runs if run.algorithm == tables.algorithm))
    looks = {
        (model, "none"): Look(model.replace("_", " "), *LOOKS[place % len(LOOKS)])
        for place, model in enumerate(models)
    }
    return draw_conditions(tables, looks)
