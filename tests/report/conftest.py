"""One small finished run and its report, shared by the tests that only read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from finished_run import finish, finished_params

from habits.params import Params
from habits.report.inputs import Inputs
from habits.report.pages import pages_of
from habits.report.report import write_report


@dataclass(frozen=True)
class Site:
    """A written report and what it was written from."""

    params: Params
    results: Path
    data: Path
    out: Path

    @property
    def inputs(self) -> Inputs:
        return Inputs(self.params.only("countdown"), self.results, self.data, self.params)

    def html(self, page: str) -> str:
        return (self.out / page).read_text()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("report")
    params = finished_params(judge="gpt-4o-mini")
    results, data = finish(params, root)
    out = root / "reports"
    write_report(params, results, data, out)
    return Site(params, results, data, out)


@pytest.fixture(params=[page.file for page in pages_of(finished_params(judge="gpt-4o-mini"))])
def page(request: pytest.FixtureRequest) -> str:
    return str(request.param)
