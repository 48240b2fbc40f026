"""The experiments: which question each asks, its runs, and the figures that answer it.

An experiment is a page: its claims, its figures with the rows behind them, its runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from habits.figures import available_figures
from habits.figures.style import BEHAVIOR_SETS, CONTROL_SETS, MODEL, PRETRAINING_SETS, SEARCHING
from habits.params import Params, RunId
from habits.pretraining_params import REWRITTEN


@dataclass(frozen=True)
class Experiment:
    """A question, the runs that it compares, and its figures.

    Attributes:
        file: of its page.
        name: in the navigation and in the filter of the rollout browser.
        question: the title of its page.
        intro: one or two sentences on what is compared.
        figures: names in the figures' registry; a figure belongs to one experiment.
        holds: whether a run belongs to it.
    """

    file: str
    name: str
    question: str
    intro: str
    figures: tuple[str, ...]
    holds: Callable[[Params, RunId], bool]

    def is_there(self, params: Params) -> bool:
        """Whether the settings ask for runs of it, or for one of its figures."""
        own = params.only("countdown")
        figures = set(self.figures) & set(available_figures(own))
        return bool(figures) or any(self.holds(own, run) for run in own.runs)


def _is_main(params: Params, run: RunId) -> bool:
    return run.algorithm == params.rl.algorithm


def _behavior_sets(params: Params, run: RunId) -> bool:
    return _is_main(params, run) and run.model == MODEL and run.priming in BEHAVIOR_SETS


def _controls(params: Params, run: RunId) -> bool:
    matched = run.model == MODEL and run.priming == "none"
    return run.model == MODEL and run.priming in CONTROL_SETS and (_is_main(params, run) or matched)


def _base_models(params: Params, run: RunId) -> bool:
    return _is_main(params, run) and run.model in (MODEL, SEARCHING) and run.priming == "none"


def _pretraining(params: Params, run: RunId) -> bool:
    if not any(other.priming in REWRITTEN for other in params.runs):
        return False
    return _is_main(params, run) and run.model == MODEL and run.priming in PRETRAINING_SETS


def _variants(params: Params, run: RunId) -> bool:
    return not _is_main(params, run)


EXPERIMENTS = (
    Experiment(
        "behavior_sets.html",
        "Behavior sets",
        "Do behaviors taught before RL decide what RL can improve?",
        "A base model that lacks the behaviors is primed with traces that show them, set by set; then all "
        "models get the same RL.",
        ("accuracy_over_steps", "behaviors_over_steps", "backtracking_vs_accuracy"),
        _behavior_sets,
    ),
    Experiment(
        "controls.html",
        "Controls",
        "Is it the behaviors, or tokens, tries and endings?",
        "Priming without content, with right answers only, with wrong endings; and an unprimed model that "
        "gets as many tokens or tries as a primed one.",
        ("sinking_controls", "response_length_over_steps"),
        _controls,
    ),
    Experiment(
        "base_models.html",
        "Base models",
        "Does a base model that searches already gain more from RL?",
        "Two base models without priming, of which one has read searches in pretraining: the parts of Llama "
        "and Qwen in the paper.",
        ("plain_vs_searching",),
        _base_models,
    ),
    Experiment(
        "pretraining.html",
        "Pretraining data",
        "Do behaviors in pretraining documents decide it, too?",
        "Documents with the behaviors, and matched ones without, are rewritten as question, thought and "
        "answer, and the base model reads more of either before the same RL.",
        ("pretraining_over_steps", "behaviors_in_documents", "labelling_cost"),
        _pretraining,
    ),
    Experiment(
        "algorithms.html",
        "RL settings",
        "What do other RL settings and algorithms change?",
        "Runs whose RL differs from the main setting: in algorithm, penalty, or length.",
        (),
        _variants,
    ),
)
