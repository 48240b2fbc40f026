"""Social IQa: choose the one of three options that answers a question about a social situation.

Light to import: prompts, stories and reward need neither pandas nor torch. The rule that writes the problems
is ``habits.tasks.social_iqa.problems``; the published questions are read in ``published``.
"""

from habits.tasks.social_iqa.problem import LETTERS, Problem
from habits.tasks.social_iqa.prompts import TEMPLATES, PromptTemplate
from habits.tasks.social_iqa.reward import Reason, Verdict, VerdictParts, compute_score, grade

__all__ = [
    "LETTERS",
    "TEMPLATES",
    "Problem",
    "PromptTemplate",
    "Reason",
    "Verdict",
    "VerdictParts",
    "compute_score",
    "grade",
]
