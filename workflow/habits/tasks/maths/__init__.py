"""Maths problems with a short final answer: GSM8K, MATH, CMATH, and word problems of this project's own.

Light to import: prompts, answers and reward need neither pandas nor torch; what math-verify decides runs in a
process of its own (`habits.tasks.maths.verifier`). The published sets are read in ``published``.
"""

from habits.tasks.maths.problem import Problem
from habits.tasks.maths.reward import Reason, Verdict, VerdictParts, grade

__all__ = ["Problem", "Reason", "Verdict", "VerdictParts", "grade"]
