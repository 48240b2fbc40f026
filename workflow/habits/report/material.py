"""What pages are made of: the inputs and what several pages read from them, each read once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from habits.params import Params
from habits.report.browser import Browser
from habits.report.claims import Claims, read_claims
from habits.report.cost import Spent, spent
from habits.report.figures import Figure, read_figures
from habits.report.inputs import Inputs
from habits.report.overview import Overview, overview
from habits.report.priming import PrimingSet, priming_sets
from habits.report.runs import RunLine, run_lines
from habits.report.settings import Provenance, provenance


@dataclass(frozen=True)
class Material:
    """The artifacts of a run, read when a page first asks for them.

    Attributes:
        params: the settings in effect.
        inputs: where the artifacts stand.
        browser: what the rollout browser holds.
    """

    params: Params
    inputs: Inputs
    browser: Browser

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """The figures that the matrix can fill, by name."""
        return {figure.name: figure for figure in read_figures(self.inputs.figures)}

    @cached_property
    def claims(self) -> Claims:
        """The decided claims."""
        return read_claims(self.inputs.claims)

    @cached_property
    def provenance(self) -> Provenance:
        """What the sidecars of all artifacts say."""
        return provenance(self.inputs)

    @cached_property
    def spent(self) -> list[Spent]:
        """What language models cost."""
        return spent(self.inputs)

    @cached_property
    def runs(self) -> list[RunLine]:
        """Every run on Countdown in one line."""
        return run_lines(self.inputs, self.inputs.params)

    @cached_property
    def social_runs(self) -> list[RunLine]:
        """Every run on Social IQa in one line."""
        return run_lines(self.inputs, self.inputs.whole.only("social_iqa"))

    @cached_property
    def priming_sets(self) -> list[PrimingSet]:
        """The priming sets over all their seeds."""
        return priming_sets(self.inputs)

    @cached_property
    def overview(self) -> Overview:
        """What was run, in numbers."""
        return overview(self.inputs, self.provenance)

    @property
    def confidence(self) -> float:
        """Confidence of all intervals."""
        return self.inputs.params.statistics.confidence

    def chosen(self, names: Iterable[str]) -> list[Figure]:
        """Those of the named figures that the matrix can fill."""
        return [self.figures[name] for name in names if name in self.figures]
