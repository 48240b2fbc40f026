"""Countdown: reach a target from some numbers with + - * /, each number used exactly once.

Light to import: solver, prompts and reward need neither pandas nor torch. The rule that writes the
problems is ``habits.tasks.countdown.problems``, the sampling behind it ``habits.tasks.countdown.sampling``.
"""

from habits.tasks.countdown.arithmetic import Move, Operation, Problem, Step, expression_of, moves
from habits.tasks.countdown.prompts import TEMPLATES, PromptTemplate
from habits.tasks.countdown.reward import Reason, Verdict, VerdictParts, compute_score, grade
from habits.tasks.countdown.solver import Difficulty, Solution, difficulty, solutions

__all__ = [
    "TEMPLATES",
    "Difficulty",
    "Move",
    "Operation",
    "Problem",
    "PromptTemplate",
    "Reason",
    "Solution",
    "Step",
    "Verdict",
    "VerdictParts",
    "compute_score",
    "difficulty",
    "expression_of",
    "grade",
    "moves",
    "solutions",
]
