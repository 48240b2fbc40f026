"""Tables behind what the report says about Social IQa, and the claims about it.

Reads ``results/rollouts``, ``results/rl`` and ``results/transfer`` of the runs on Social IQa, the evaluation
problems, ``workflow/claims/social_iqa.yaml`` and ``social_findings.yaml``. Writes
``results/social_statistics/``: per_problem, curves, per_seed, final and training_curves as for Countdown
(without behaviors, which only Countdown has), ``groups.parquet`` (accuracy and length by difficulty and kind
of question), the tables of `habits.analysis.analyses`, ``transfer.parquet`` and ``pairs.parquet`` (other
problems before and after RL),
``claims.json``, ``findings.json``, and ``lm_eval/``: transfer results as lm-evaluation-harness writes them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from habits.analysis.analyses import analyse_runs, rollout_files
from habits.analysis.claims import decide_claims
from habits.analysis.evaluations import MEASURED, Condition, conditions, read_per_problem, read_training
from habits.analysis.lm_eval import lm_eval_documents
from habits.analysis.resampling import Resampler
from habits.analysis.social_findings import FindingsReport, decide_findings, load_findings
from habits.analysis.statistics import resampler_of
from habits.analysis.summaries import curves, final, per_seed, training_curves
from habits.analysis.transfer import Evaluated, evaluated, pairs_table, transfer_table
from habits.artifacts import ArtifactError, read_parquet, replacing, stamp, write_parquet, write_text
from habits.params import Params, RunId

CHANCE = 1 / 3  # of three options
GROUPINGS = ("level", "kind")
GROUPED = ("accuracy", "n_tokens")


def write_social_statistics(
    params: Params, results: Path, problems: Path, claims: Path, findings: Path, out: Path
) -> None:
    """Write all tables and what follows from them into the folder ``out``.

    Args:
        params: restricted to the task (`Params.only`).
        results: the results folder.
        problems: the parquet of the evaluation problems.
        claims: the claims about Social IQa.
        findings: what is said about responses and other tasks.

    Raises:
        ArtifactError: a run of the matrix has missing, empty or doubled data; the message names the run.
    """
    resampler = resampler_of(params)
    per_problem, training = read_per_problem(params, results, MEASURED), read_training(params, results)
    found = conditions(per_problem)
    transferred = read_transfer(params, results)
    told = read_parquet(problems, ["extra_info"])
    tables = {
        "per_problem": per_problem,
        "curves": curves(found, training, resampler),
        "per_seed": per_seed(found, training, resampler),
        "final": final(found, params.statistics.last_points, resampler),
        "training_curves": training_curves(training),
        "groups": groups(list(found.values()), told, resampler),
        **analyse_runs(params, results),
    }
    if transferred:
        tables |= {"transfer": transfer_table(transferred, resampler), "pairs": pairs_table(transferred)}
    report = FindingsReport(
        confidence=params.statistics.confidence,
        results=decide_findings(
            load_findings(findings),
            [key.path for key in found],
            {
                "transfer": tables.get("transfer", pd.DataFrame()),
                "longer": longer_if_harder(list(found.values()), told, resampler),
                **{name: tables[name] for name in ("length_bins", "length_slopes", "mixing_overall")},
            },
        ),
    )
    with replacing(out) as folder:
        folder.mkdir()
        for name, table in tables.items():
            write_parquet(table, folder / f"{name}.parquet")
        decide_claims(params, folder, claims, folder / "claims.json")
        (folder / "claims.json.provenance.json").unlink()  # the folder's own says it all
        write_text(report.model_dump_json(indent=1) + "\n", folder / "findings.json")
        for name, document in lm_eval_documents(transferred, params.transfer).items():
            write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", folder / "lm_eval" / name)
    parents = [path for run in params.runs for path in rollout_files(run, results)]
    parents += [results / "rl" / run.path / "metrics.parquet" for run in params.runs]
    parents += [path for run in params.runs if (path := _transfer_file(results, run)).exists()]
    settings = params.statistics.model_dump()
    stamp(out, settings=settings, parents=[*parents, problems, claims, findings], seed=params.statistics.seed)


def read_transfer(params: Params, results: Path) -> list[Evaluated]:
    """The evaluations on other problems of all runs that ``transfer`` in params asks about."""
    asked = {model for line in params.transfer for model in line.models}
    files = [_transfer_file(results, run) for run in params.runs if run.model in asked]
    return [found for path in files for found in evaluated(read_parquet(path), str(path))]


def _transfer_file(results: Path, run: RunId) -> Path:
    return results / "transfer" / f"{run.path}.parquet"


def longer_if_harder(found: list[Condition], problems: pd.DataFrame, resampler: Resampler) -> pd.DataFrame:
    """One row a condition: how much more RL lengthens responses to hard stories than to easy ones.

    Columns: condition, effect, low, high (tokens), n (problems of both levels). Published questions have no
    levels: no rows.
    """
    told = pd.DataFrame(list(problems["extra_info"])).set_index("problem_id")
    rows = []
    for condition in found:
        levels = told.loc[list(condition.problems), "level"].to_numpy()
        parts = {level: _part(condition, levels == level) for level in ("easy", "hard")}
        if not all(part.problems for part in parts.values()):
            continue
        changes = {
            level: part.at("n_tokens", part.steps[-1]) - part.at("n_tokens", part.steps[0])
            for level, part in parts.items()
        }
        draws = resampler.means(changes["hard"]) - resampler.means(changes["easy"])
        low, high = resampler.interval(draws)
        rows.append(
            {
                "condition": condition.key.path,
                "effect": float(np.nanmean(changes["hard"]) - np.nanmean(changes["easy"])),
                "low": float(low),
                "high": float(high),
                "n": sum(len(part.problems) for part in parts.values()),
            }
        )
    return pd.DataFrame(rows)


def groups(found: list[Condition], problems: pd.DataFrame, resampler: Resampler) -> pd.DataFrame:
    """One row a (condition, evaluation step, group of problems, metric): its mean with interval.

    ``grouping`` is level (stories only) or kind, ``group`` the name of the group. Intervals are resampled
    over seeds and the problems of the group.
    """
    told = pd.DataFrame(list(problems["extra_info"])).set_index("problem_id")
    rows = []
    for condition in found:
        if not set(condition.problems) <= set(told.index):
            raise ArtifactError(f"{condition.key.path} was evaluated on other problems than there are now")
        for grouping in GROUPINGS:
            names = told.loc[list(condition.problems), grouping].to_numpy()
            for name in sorted({str(name) for name in names if name is not None}):
                part = _part(condition, names == name)
                rows += [
                    _row(part, metric, step, resampler) | {"grouping": grouping, "group": name}
                    for metric in GROUPED
                    for step in condition.steps
                ]
    return pd.DataFrame(rows)


def _part(condition: Condition, chosen: np.ndarray) -> Condition:
    return replace(
        condition,
        problems=tuple(np.array(condition.problems)[chosen].tolist()),
        values_T_M_S_P=condition.values_T_M_S_P[..., chosen],
        samples_T_S_P=condition.samples_T_S_P[..., chosen],
    )


def _row(part: Condition, metric: str, step: int, resampler: Resampler) -> dict[str, object]:
    values = part.at(metric, step)
    low, high = resampler.interval(resampler.means(values))
    return {
        **part.key._asdict(),
        "rl_step": step,
        "metric": metric,
        "mean": float(values.mean()),
        "low": float(low),
        "high": float(high),
        "n_seeds": len(part.seeds),
        "n_problems": len(part.problems),
        "n_rollouts": int(part.samples_T_S_P[part.steps.index(step)].sum()),
    }
