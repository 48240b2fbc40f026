"""The report of a finished run: a static site that opens from disk.

Reads results/{claims,figures,analyses,rollouts,behaviors,rl,base_model,quality} and, with a judge,
results/{judging,calibration}; data/{priming,problems,replies} and the provenance sidecars. Writes index.html,
figures.html, responses.html, rollouts.html, judges.html (with a judge), data.html, social.html (with runs on
Social IQa), runs.html, settings.html and figures/ into the reports folder. The same inputs give the same
bytes.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from jinja2 import Environment

from habits.artifacts import replacing, stamp, write_text
from habits.params import Params
from habits.progress import Progress
from habits.report.claims import read_claims
from habits.report.cost import spent
from habits.report.disagreements import disagreements
from habits.report.figures import MAIN, Figure, read_figures
from habits.report.inputs import Inputs
from habits.report.judges import JUDGE_FIGURES, judges
from habits.report.overview import overview
from habits.report.priming import priming_sets, splits
from habits.report.responses import RESPONSE_FIGURES, response_lines
from habits.report.rollouts import sample_for_page
from habits.report.runs import run_lines
from habits.report.settings import as_yaml, package_versions, provenance
from habits.report.site import PAGES, Page, environment, pages_of, render
from habits.report.social import social, social_figures, social_files


def write_report(params: Params, results: Path, data: Path, out: Path) -> None:
    """Write the site into the folder ``out``; index.html comes last.

    Args:
        params: the settings in effect; their matrix says which runs the report needs.
        results: the results folder.
        data: the data folder, with problems/ and priming/.
        out: the folder of the site; pages of an earlier report are replaced.

    Raises:
        ArtifactError: an input is missing, empty, or not what its name says.
    """
    # The other pages are about Countdown; what is said about Social IQa stands on a page of its own.
    inputs = Inputs(params.only("countdown"), results, data)
    inputs.check()
    parents = [*inputs.files, *social_files(params, results)]
    figures = read_figures(inputs.figures)
    _copy_figures([*figures, *social_figures(params, results)], out / "figures")
    pages = pages_of(params)
    for page in set(PAGES) - set(pages):
        (out / page.file).unlink(missing_ok=True)
    templates = environment(pages)
    progress = Progress("report", len(pages), every=0.0)
    for done, page in enumerate(reversed(pages), start=1):
        write_text(_page(templates, page, inputs, figures, params), out / page.file)
        progress.update(done)
    stamp(out, settings=params.model_dump(mode="json"), parents=parents)


def _page(templates: Environment, page: Page, inputs: Inputs, figures: list[Figure], params: Params) -> str:
    match page.file:
        case "index.html":
            content: dict[str, Any] = {
                "overview": overview(inputs, provenance(inputs)),
                "claims": read_claims(inputs.claims),
                "figures": [figure for figure in figures if figure.name in MAIN],
            }
        case "figures.html":
            content = {"figures": figures}
        case "responses.html":
            content = {
                "lines": response_lines(inputs),
                "figures": [figure for figure in figures if figure.name in RESPONSE_FIGURES],
                "confidence": inputs.params.statistics.confidence,
            }
        case "rollouts.html":
            content = {"sample": sample_for_page(inputs)}
        case "judges.html":
            content = {
                "judges": judges(inputs),
                "disagreements": disagreements(inputs),
                "figures": [figure for figure in figures if figure.name in JUDGE_FIGURES],
                "calls": inputs.params.judging.calls,
                "confidence": inputs.params.statistics.confidence,
                "spent": spent(inputs),
            }
        case "data.html":
            content = {"sets": priming_sets(inputs), "splits": splits(inputs)}
        case "social.html":
            content = social(params, inputs.results)
        case "runs.html":
            content = {"lines": run_lines(inputs), "confidence": inputs.params.statistics.confidence}
        case _:
            content = {
                "yaml": as_yaml(params),
                "provenance": provenance(inputs),
                "versions": package_versions(),
                "spent": spent(inputs),
            }
    return render(templates, page, preset=inputs.params.preset, **content)


def _copy_figures(figures: list[Figure], folder: Path) -> None:
    """Put the figure files beside the pages, for download."""
    with replacing(folder) as temporary:
        temporary.mkdir()
        for figure in figures:
            for file in figure.files:
                shutil.copyfile(file, temporary / file.name)
