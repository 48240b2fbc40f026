"""Cards in Hugging Face's format for every priming set and every trained model, from provenance.

Reads what the report reads. Writes datasets/{priming}-seed{n}.md and models/{run}.md into a folder: each is
the README.md to put beside the artifact when it is shared on the Hub.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCardData, EvalResult, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from habits.artifacts import replacing
from habits.cluster_params import PretrainedModel
from habits.params import Params, RunId
from habits.progress import clock
from habits.report.inputs import PrimingFile
from habits.report.labels import BEHAVIORS, REASONS, condition
from habits.report.material import Material
from habits.report.priming import PrimingSet
from habits.report.runs import RunLine
from habits.report.settings import Artifact
from habits.report.site import TEMPLATES, million, number, percent
from habits.section import Task

LICENSE = "apache-2.0"
PAPER = "arXiv:2503.01307"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
LARGEST = "100K<n<1M"


def write_cards(material: Material, out: Path) -> None:
    """Write all cards into the folder ``out``, which appears at once."""
    made = {artifact.path: artifact for artifact in material.provenance.artifacts}
    sets = {one.name: one for one in material.priming_sets}
    templates = _environment()
    with replacing(out) as folder:
        for name in ("datasets", "models"):
            (folder / name).mkdir(parents=True)
        for file in material.inputs.priming:
            text = _dataset_card(templates, material, file, sets[file.priming], made)
            (folder / "datasets" / dataset_card(file.priming, file.seed)).write_text(text)
        for line in material.runs + material.social_runs:
            (folder / "models" / model_card(line.run)).write_text(
                _model_card(templates, material, line, made)
            )


def dataset_card(priming: str, seed: int) -> str:
    """File of a priming set's card."""
    return f"{priming}-seed{seed}.md"


def model_card(run: RunId) -> str:
    """File of a model's card."""
    return f"{run.path.replace('/', '-')}.md"


def task_title(params: Params, task: Task) -> str:
    """What a model was trained on, as its card calls it."""
    if task == "countdown":
        return "Countdown"
    return "social stories" if params.social_iqa.source == "stories" else "Social IQa"


def _environment() -> Environment:
    """Markdown is no HTML: nothing is escaped, and no text of a model stands in a card."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"percent": percent, "number": number, "clock": clock}
    return made


def _dataset_card(
    templates: Environment,
    material: Material,
    file: PrimingFile,
    shown: PrimingSet,
    made: dict[str, Artifact],
) -> str:
    path = f"data/priming/{file.priming}/seed{file.seed}.parquet"
    n = round(shown.n / len(shown.seeds))
    data = DatasetCardData(
        pretty_name=f"Countdown traces: {file.priming}, seed {file.seed}",
        license=LICENSE,
        language="en",
        task_categories="text-generation",
        size_categories=next((name for limit, name in SIZES if n < limit), LARGEST),
        tags=["countdown", "reasoning", "cognitive-behaviors", f"teacher-{shown.teachers[0]}"],
        configs=[{"config_name": "default", "data_files": f"seed{file.seed}.parquet"}],
    )
    return _render(
        templates,
        "card_dataset.md",
        data.to_yaml(),
        material,
        made[path],
        file=file,
        set=shown,
        behaviors=BEHAVIORS,
        reasons=REASONS,
    )


def _model_card(templates: Environment, material: Material, line: RunLine, made: dict[str, Artifact]) -> str:
    run, whole = line.run, material.inputs.whole
    task = whole.task_of(whole.runs[run])
    params = whole.only(task)
    name = task_title(params, task)
    spec = params.models[run.model]
    base = spec.pretrained if isinstance(spec, PretrainedModel) else None
    result = EvalResult(
        task_type="text-generation",
        task_name=name,
        dataset_type=task,
        dataset_name=f"{name} ({params.rollouts.split}, {line.problems} problems)",
        metric_type="accuracy",
        metric_value=round(line.accuracy, 4),
    )
    data = ModelCardData(
        model_name=run.path.replace("/", "-"),
        license="other" if base else LICENSE,
        language="en",
        library_name="transformers",
        pipeline_tag="text-generation",
        base_model=base,
        tags=[task, "reinforcement-learning", run.algorithm, "cognitive-behaviors"],
        eval_results=[result],
    )
    size = next(m.parameters for m in material.overview.models if m.name == run.model)
    return _render(
        templates,
        "card_model.md",
        data.to_yaml(),
        material,
        made[f"results/rl/{run.path}"],
        line=line,
        task=name,
        condition=condition(run, params),
        size=million(size),
        base=base,
        confidence=params.statistics.confidence,
    )


def _render(
    templates: Environment, name: str, head: str, material: Material, artifact: Artifact, **content: Any
) -> str:
    preset = material.inputs.params.preset
    template = templates.get_template(name)
    return template.render(head=head.strip(), preset=preset, artifact=artifact, paper=PAPER, **content)
