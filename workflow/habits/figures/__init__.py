"""The figures of the report: one module a figure, one look for all."""

from habits.figures.registry import FIGURES, available_figures, draw_figure, task_of_figure

__all__ = ["FIGURES", "available_figures", "draw_figure", "task_of_figure"]
