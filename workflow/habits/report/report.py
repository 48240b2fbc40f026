"""The report of a finished run: a static site that opens from disk.

Reads results/{claims,figures,analyses,rollouts,behaviors,rl,base_model,quality} and, with a judge,
results/{judging,calibration}; data/{priming,problems,replies} and the provenance sidecars. Writes into the
reports folder the pages that `pages.PAGES` lists, figures/, rollouts/ and cards/. The same inputs give the
same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from habits.artifacts import replacing, stamp, write_text
from habits.params import Params
from habits.progress import Progress
from habits.report.browser import write_browser
from habits.report.cards import write_cards
from habits.report.figures import Figure
from habits.report.inputs import Inputs
from habits.report.material import Material
from habits.report.pages import PAGES, pages_of
from habits.report.site import environment, render


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
    # Most pages are about Countdown; what is said about Social IQa stands on a page of its own.
    inputs = Inputs(params.only("countdown"), results, data, params)
    pages = pages_of(params)
    of_pages = [path for page in pages for path in page.reads(params, inputs)]
    inputs.check(of_pages)
    material = Material(params, inputs, write_browser(inputs, out / "rollouts"))
    _copy_figures(material.figures.values(), out / "figures")
    for page in set(PAGES) - set(pages):
        (out / page.file).unlink(missing_ok=True)
    write_cards(material, out / "cards")
    templates = environment(pages)
    progress = Progress("report", len(pages), every=0.0)
    for done, page in enumerate(reversed(pages), start=1):
        content = page.content(material)
        write_text(render(templates, page, preset=params.preset, **content), out / page.file)
        progress.update(done)
    stamp(out, settings=params.model_dump(mode="json"), parents=[*inputs.files, *of_pages])


def _copy_figures(figures: Iterable[Figure], folder: Path) -> None:
    """Put the figure files beside the pages, for download."""
    with replacing(folder) as temporary:
        temporary.mkdir()
        for figure in figures:
            for file in figure.files:
                shutil.copyfile(file, temporary / file.name)
