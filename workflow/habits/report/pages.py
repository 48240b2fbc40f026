"""The registry of pages, in the order of the navigation.

A new page is a module with a function from `Material` to what its template shows, the template, and one
entry in `PAGES`. An experiment whose page looks like the others is one entry in `experiments.EXPERIMENTS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from habits.params import Params
from habits.report.disagreements import disagreements
from habits.report.documents import document_artifacts, documents, has_documents
from habits.report.experiment_pages import GROUP, experiment_pages, experiments_of
from habits.report.experiments import EXPERIMENTS
from habits.report.inputs import Inputs
from habits.report.judges import JUDGE_FIGURES, judges
from habits.report.material import Material
from habits.report.overview import MAIN_FIGURE
from habits.report.priming import splits
from habits.report.responses import RESPONSE_FIGURES, response_lines
from habits.report.settings import as_yaml, package_versions
from habits.report.site import Page
from habits.report.social import FOLDER, social, social_lines


def _overview(material: Material) -> dict[str, Any]:
    return {
        "overview": material.overview,
        "claims": material.claims,
        "experiments": experiments_of(material),
        "social": _social_outline(material),
        "figures": material.chosen((MAIN_FIGURE,)),
        "home": next(e.file for e in EXPERIMENTS if MAIN_FIGURE in e.figures),
    }


def _claims(material: Material) -> dict[str, Any]:
    sizes = material.overview.sizes(material.inputs.models)
    return {"claims": material.claims, "sizes": sizes, "social": _social_outline(material)}


def _social_outline(material: Material) -> dict[str, Any] | None:
    """What other pages say of Social IQa: how many runs, and what is claimed; None where nothing ran."""
    if not _has_social(material.params):
        return None
    return {"runs": len(material.social_runs), "lines": social_lines(material.inputs.results)}


def _responses(material: Material) -> dict[str, Any]:
    return {
        "lines": response_lines(material.inputs.params, material.inputs.analyses),
        "figures": material.chosen(RESPONSE_FIGURES),
        "confidence": material.confidence,
    }


def _data(material: Material) -> dict[str, Any]:
    return {"sets": material.priming_sets, "splits": splits(material.inputs)}


def _documents(material: Material) -> dict[str, Any]:
    return {
        "shown": documents(material.inputs),
        "labeller": material.inputs.params.labelling.labeller,
        "confidence": material.confidence,
    }


def _reads_documents(_: Params, inputs: Inputs) -> list[Path]:
    return document_artifacts(inputs)


def _rollouts(material: Material) -> dict[str, Any]:
    return {"browser": material.browser, "judged": material.inputs.params.judge != "none"}


def _judges(material: Material) -> dict[str, Any]:
    return {
        "judges": judges(material.inputs),
        "disagreements": disagreements(material.inputs),
        "figures": material.chosen(JUDGE_FIGURES),
        "calls": material.inputs.params.judging.calls,
        "confidence": material.confidence,
        "spent": material.spent,
    }


def _social(material: Material) -> dict[str, Any]:
    return social(material.inputs.whole.only("social_iqa"), material.inputs.results) | {
        "runs": material.social_runs
    }


def _reads_social(_: Params, inputs: Inputs) -> list[Path]:
    return [inputs.results / FOLDER]


def _has_social(params: Params) -> bool:
    return bool(params.only("social_iqa").matrix)


def _runs(material: Material) -> dict[str, Any]:
    return {"lines": material.runs + material.social_runs, "confidence": material.confidence}


def _cost(material: Material) -> dict[str, Any]:
    return {"provenance": material.provenance, "spent": material.spent}


def _provenance(material: Material) -> dict[str, Any]:
    return {
        "yaml": as_yaml(material.params),
        "provenance": material.provenance,
        "versions": package_versions(),
    }


def _is_judged(params: Params) -> bool:
    return params.judge != "none"


PAGES = (
    Page(
        "index.html",
        "Overview",
        "Do reasoning habits decide what reinforcement learning can improve?",
        _overview,
    ),
    Page("claims.html", "Claims", "Claims and verdicts", _claims),
    *experiment_pages(),
    Page("responses.html", "Length and language", "Is a longer response a better one?", _responses, GROUP),
    Page(
        "social.html",
        "Social IQa",
        "Reinforcement learning on social situations",
        _social,
        GROUP,
        shown=_has_social,
        reads=_reads_social,
    ),
    Page("data.html", "Data", "Priming sets and problems", _data),
    Page(
        "documents.html",
        "Documents",
        "Behaviors in pretraining data",
        _documents,
        shown=has_documents,
        reads=_reads_documents,
    ),
    Page("rollouts.html", "Rollouts", "Rollouts", _rollouts, loads=True),
    Page("judges.html", "Judges", "How far the judge can be believed", _judges, shown=_is_judged),
    Page("runs.html", "Runs", "Runs", _runs),
    Page("cost.html", "Cost and time", "What it cost", _cost),
    Page("provenance.html", "Provenance", "How the results came about", _provenance),
)


def pages_of(params: Params) -> tuple[Page, ...]:
    """The pages that the settings in effect give something to say."""
    return tuple(page for page in PAGES if page.shown(params))
