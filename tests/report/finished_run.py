"""A finished run in the schema of the real one: every artifact that the report reads, small or full size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from safetensors.numpy import save_file

from habits.analysis.analyses import analyse_runs, write_analyses
from habits.analysis.calibration import write_calibration
from habits.analysis.cascade import write_cascade
from habits.analysis.claims import Claim, ClaimResult, ClaimsReport, Contrast, PublishedContrast, Side
from habits.analysis.leakage import COLUMNS as LEAKAGE
from habits.analysis.pretraining_statistics import write_pretraining_statistics
from habits.analysis.social_findings import FindingResult, FindingsReport, load_findings
from habits.analysis.transfer import IN_FORM, METRICS
from habits.artifacts import replacing, stamp, write_parquet, write_text
from habits.behaviors.behaviors import CARRIED
from habits.behaviors.judging import JUDGED_SCHEMA, rater_of, sample_of
from habits.behaviors.quality import write_quality
from habits.figures import FIGURES, available_figures
from habits.llm.requests import Reply, Request, Usage
from habits.llm.store import Record, ReplyStore
from habits.params import Params, RunId, validate
from habits.pretraining.corpus import write_shard
from habits.pretraining.deduplication import write_duplicates
from habits.pretraining.labels import write_labels

LAPTOP = Path(__file__).parents[2] / "workflow" / "presets" / "laptop.yaml"
BEHAVIORS = ("verification", "backtracking", "subgoal_setting", "backward_chaining")
# One response with all four behaviors; the last two spans overlap.
SEARCH = (
    "goal 12 ; 15 - 3 = 12 ; 12 * 2 = 24 check 21 no restart need 21 + 3 = 24 ; 3 * 7 = 21 check 21 yes "
    "</think> <answer> 3 * 7 </answer>"
)
MARKED = (
    ("goal 12 ;", "subgoal_setting"),
    ("check 21 no", "verification"),
    ("no restart", "backtracking"),
    ("need 21 + 3 = 24 ;", "backward_chaining"),
    ("check 21 yes", "verification"),
)
DIRECT = "3 * 7 = 21 </think> <answer> 3 * 7 </answer>"
HOSTILE = "</script><script>alert('owned')</script><img src=x onerror=alert(1)> & \u2028 <b>bold</b>"
FIGURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 300">'
    '<rect width="640" height="300" fill="white"/>'
    '<polyline points="20,260 200,150 400,90 620,60" fill="none" stroke="#0072b2" stroke-width="3"/>'
    '<text x="24" y="40" font-size="18">{name}</text></svg>'
)
SMALL_MATRIX = [
    {"model": "plain", "priming": "none", "seeds": [11, 12], "samples": 2},
    {"model": "plain", "priming": "none", "seeds": [11], "variant": "matched_tokens", "rl": {"steps": 80}},
    {"model": "searching", "priming": "none", "seeds": [11]},
    {"model": "plain", "priming": "backtracking_verification", "seeds": [11, 12]},
    {"model": "social", "priming": "none", "seeds": [11]},
]


def finished_params(full: bool = False, judge: str = "none") -> Params:
    """The laptop preset, with four lines of matrix and few problems unless ``full``."""
    raw = yaml.safe_load(LAPTOP.read_text())
    raw["judge"] = judge
    if not full:
        raw["matrix"] = SMALL_MATRIX
        raw["rollouts"]["problems"] = 12
        raw["priming"]["traces"] = 20
    return validate(raw)


def finish(params: Params, root: Path) -> tuple[Path, Path]:
    """Write every artifact of a run below ``root``; returns its results and data folders."""
    results, data = root / "results", root / "data"
    for run, line in params.runs.items():
        _run(params, results, run, params.rl_settings(line).steps, line.samples or params.rollouts.samples)
    for name in params.models:
        folder = results / "base_model" / name
        folder.mkdir(parents=True)
        save_file({"weight": np.zeros((200, 4000), dtype=np.float32)}, folder / "model.safetensors")
        stamp(folder, settings={}, parents=[])
    for run in (run for run in params.runs if run.priming != "none"):
        stamped_folder(results / "sft" / run.model / run.priming / f"seed{run.seed}")
    for name in {FIGURES[name].tables for name in available_figures(params)} - {"analyses", "calibration"}:
        stamped_folder(results / name)
    stamp(results / "statistics", settings={}, parents=sorted(results.glob("rollouts/**/seed*.parquet")))
    write_analyses(params, results, results / "analyses")
    for priming, seed in {(r.priming, r.seed) for r in params.runs if r.priming != "none"}:
        _priming(data / "priming" / priming / f"seed{seed}.parquet", params.priming.traces, priming)
    write_quality(params, data / "priming", data / "teaching", results / "quality" / "quality.parquet")
    _problems(params, data / "problems" / "countdown")
    _documents(params, results, data)
    _figures(params, results / "figures")
    _social(params, results)
    countdown = params.only("countdown")
    if params.judge != "none":
        for run in countdown.runs:
            _judging(params, results, run)
        write_calibration(countdown, results, results / "calibration")
        _replies(data / "replies", params)
    claims = results / "claims" / "claims.json"
    write_text(decided().model_dump_json(), claims)
    stamp(claims, settings={}, parents=[])
    return results, data


def _social(params: Params, results: Path) -> None:
    """What is said of Social IQa: a claim, a finding for each verdict, a transfer table."""
    folder = results / "social_statistics"
    social = params.only("social_iqa")
    for name, table in (analyse_runs(social, results) if social.matrix else {}).items():
        write_parquet(table, folder / f"{name}.parquet")
    findings = load_findings(LAPTOP.parents[1] / "claims" / "social_findings.yaml")
    results = [
        FindingResult(
            finding=finding.model_copy(update={"sentence": f"Said <b>{finding.id}</b>."}),
            condition="social/none/reinforce_plus_plus",
            about="word_problems" if finding.id == "transfer" else "",
            **(
                {}
                if finding.id == "mixing_is_rare"
                else {"effect": 0.031, "low": -0.01, "high": 0.07, "n": 99}
            ),
            verdict="not_run" if finding.id == "mixing_is_rare" else "inconclusive",
            reason=f"Because of {finding.id}.",
        )
        for finding in findings
    ]
    report = FindingsReport(confidence=0.95, results=results)
    write_text(report.model_dump_json(), folder / "findings.json")
    write_text(decided().model_dump_json(), folder / "claims.json")
    run = {"evaluation": "word_problems", "condition": "social/none/reinforce_plus_plus"}
    numbers = {"before": 0.25, "after": 0.3, "difference": 0.05, "low": 0.01, "high": 0.09}
    counted = {"n_problems": 99, "n_seeds": 1}
    rows = [{**run, "metric": metric, **numbers, **counted} for metric in (*METRICS, IN_FORM)]
    write_parquet(pd.DataFrame(rows), folder / "transfer.parquet")
    changed = {"n": 99, "both": 20, "gained": 9, "lost": 4, "neither": 66, "p": 0.267}
    write_parquet(pd.DataFrame([{**run, "seed": 11, **changed}]), folder / "pairs.parquet")
    stamp(folder, settings={}, parents=[])


def stamped_folder(folder: Path) -> None:
    """A folder of which the report reads only the provenance."""
    folder.mkdir(parents=True)
    stamp(folder, settings={}, parents=[])


def decided() -> ClaimsReport:
    """One claim of every verdict."""
    plain, primed = (
        Side(model="plain", priming="none"),
        Side(model="plain", priming="backtracking_verification"),
    )
    superiority: dict[str, Any] = {
        "kind": "superiority",
        "minimal_effect": 0.05,
        "source": "arXiv 2503.01307",
        "metric": "accuracy",
    }
    published = PublishedContrast(better=0.7744, worse=0.3379, source="Llama-3.2-3B, step 250")
    claims = [
        Claim(
            id="primed",
            sentence="Priming helps.",
            better=primed,
            worse=plain,
            published=published,
            **superiority,
        ),
        Claim(id="reverse", sentence="Priming <i>hurts</i>.", better=plain, worse=primed, **superiority),
        Claim(id="length", sentence="Length helps.", better=primed, worse=plain, **superiority).model_copy(
            update={"metric": "n_tokens"}
        ),
        Claim(id="absent", sentence="Nobody ran this.", better=primed, worse=plain, **superiority),
    ]
    verdicts = ("supported", "not_supported", "inconclusive", "not_run")
    results = [
        ClaimResult(
            claim=claim,
            ours=None if verdict == "not_run" else _contrast(effect),
            verdict=verdict,
            reason=f"Because of {claim.id}.",
        )
        for claim, verdict, effect in zip(claims, verdicts, (0.2, -0.2, 3.5, 0.0), strict=True)
    ]
    return ClaimsReport(algorithm="ppo", confidence=0.95, resamples=100, last_points=1, results=results)


def _contrast(effect: float) -> Contrast:
    return Contrast(
        better=0.3 + effect,
        worse=0.3,
        effect=effect,
        low=effect - 0.051,
        high=effect + 0.062,
        p=0.0004,
        p_holm=0.0008,
        seeds_better=[11, 12],
        seeds_worse=[11, 12],
        n_problems=256,
        rl_step_better=40,
        rl_step_worse=40,
        paired_over="seeds and problems",
        resampled="seeds+problems",
    )


def spans_in(response: str) -> list[dict[str, Any]]:
    """The behavior spans of SEARCH; none for any other text."""
    if response != SEARCH:
        return []
    return [
        {"behavior": name, "start": SEARCH.index(text), "end": SEARCH.index(text) + len(text)}
        for text, name in MARKED
    ]


def _run(params: Params, results: Path, run: RunId, steps: int, samples: int) -> None:
    rng = np.random.default_rng([run.seed, *run.path.encode()])
    rows = []
    for step in range(0, steps + 1, params.rl_settings(params.runs[run]).save_every):
        for problem in range(params.rollouts.problems):
            for sample in range(samples):
                rows.append(_rollout(run, step, steps, problem, sample, rng))
    frame = pd.DataFrame(rows)
    path = results / "rollouts" / f"{run.path}.parquet"
    write_parquet(frame, path)
    stamp(path, settings={}, parents=[], seed=run.seed)
    behaviors = results / "behaviors" / f"{run.path}.parquet"
    write_parquet(_behaviors(frame), behaviors)
    stamp(behaviors, settings={}, parents=[path], seed=run.seed)
    folder = results / "rl" / run.path
    write_parquet(_metrics(steps, rng), folder / "metrics.parquet")
    write_parquet(pd.DataFrame({"step": range(1, steps + 1), "seconds": 4.5}), folder / "timing.parquet")
    write_parquet(frame[frame["rl_step"] > 0].assign(split="train"), folder / "rollouts.parquet")
    stamp(folder, settings={}, parents=[], seed=run.seed)


def _rollout(
    run: RunId, step: int, steps: int, problem: int, sample: int, rng: np.random.Generator
) -> dict[str, Any]:
    searching = run.priming != "none" or run.model == "searching"
    correct = bool(rng.random() < 0.1 + 0.3 * step / steps)
    response = HOSTILE if problem == 0 else SEARCH if searching and rng.random() < 0.8 else DIRECT
    reason = "correct" if correct else ("wrong_value", "wrong_numbers", "truncated")[int(rng.integers(3))]
    numbers = [1 + problem % 15, 3, 7]
    return {
        "rollout_id": f"{run.path}/{step}/{problem}/{sample}",
        "model": run.model,
        "priming": run.priming,
        "algorithm": run.algorithm,
        "seed": run.seed,
        "rl_step": step,
        "problem_id": "-".join(map(str, sorted(numbers))) + f"={20 + problem}",
        "numbers": numbers,
        "target": 20 + problem,
        "split": "test",
        "sample_id": sample,
        "prompt": f"nums {numbers[0]} 3 7 target {20 + problem} <think>",
        "response": response,
        "n_tokens": len(response.split()),
        "stopped": reason != "truncated",
        "format_ok": reason != "truncated",
        "correct": correct,
        "reward": 1.0 if correct else 0.1,
        "mean_entropy": 1.0,
        "reason": reason,
    }


def _behaviors(rollouts: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for identity, response in zip(rollouts["rollout_id"], rollouts["response"], strict=True):
        for behavior in BEHAVIORS:
            spans = [
                {"start": s["start"], "end": s["end"]}
                for s in spans_in(response)
                if s["behavior"] == behavior
            ]
            rows.append(
                {
                    "rollout_id": identity,
                    "behavior": behavior,
                    "count": len(spans),
                    "rater": "oracle",
                    "status": "ok",
                    "spans": spans,
                }
            )
    return pd.DataFrame(rows).astype({"count": "Int64"})


def _judging(params: Params, results: Path, run: RunId) -> None:
    """A judge that overlooks the last span of each behavior, quotes hostile words, fails on every 15th."""
    rollouts = pd.read_parquet(results / "rollouts" / f"{run.path}.parquet")
    oracle = pd.read_parquet(results / "behaviors" / f"{run.path}.parquet").groupby("rollout_id")
    rows = []
    for number, record in enumerate(sample_of(params, rollouts).to_dict("records")):
        status = ("unparsable", "refused", "error")[number // 15 % 3] if number % 15 == 14 else "ok"
        for found in oracle.get_group(record["rollout_id"]).to_dict("records"):
            spans = [*found["spans"]][:-1] if status == "ok" else []
            quotes = [record["response"][span["start"] : span["end"]] for span in spans]
            missing = [f"{HOSTILE} never"] if status == "ok" and record["response"] == HOSTILE else []
            rows.append(
                {
                    **{name: record[name] for name in CARRIED},
                    "behavior": found["behavior"],
                    "count": len(spans) + 3 * len(missing) if status == "ok" else None,
                    "rater": rater_of(params),
                    "status": status,
                    "spans": spans,
                    "evidence": [*quotes, *missing],
                    "missing_quotes": len(missing),
                    "reply": "0" * 64,
                    "reason": "" if status == "ok" else HOSTILE,
                }
            )
    path = results / "judging" / f"{run.path}.parquet"
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, JUDGED_SCHEMA), temporary)
    stamp(path, settings={}, parents=[], seed=run.seed)


def _replies(folder: Path, params: Params) -> None:
    """Two paid replies, of two rules."""
    with ReplyStore(folder) as store:
        for rule, usd in (("teaching", 1.25), ("judging", 0.0375)):
            request = Request.to(params.llm, params.judge, user=rule, max_tokens=10)
            reply = Reply("x", "end_turn", Usage(1000, 200, 0, 50), "id", "m")
            store.add([Record(request, reply, rule, 1.0, rule, usd, batch=rule == "judging")])


def _metrics(steps: int, rng: np.random.Generator) -> pd.DataFrame:
    step = np.arange(1, steps + 1)
    rise = 1 - np.exp(-step / 15)
    return pd.DataFrame(
        {
            "step": step,
            "accuracy": 0.1 + 0.3 * rise + rng.normal(0, 0.02, steps),
            "mean_tokens": 60 + 40 * rise + rng.normal(0, 2, steps),
            "entropy": 1.1 - 0.5 * rise,
            "rollout_tokens": 19_200,
        }
    )


def _documents(params: Params, results: Path, data: Path) -> None:
    """A generated corpus through all its steps, fewer documents than the preset has."""
    corpora = {"embedded": {"source": "generator", "documents": 500, "seed": 4}}
    raw = params.model_dump(mode="json")
    raw["pretraining"] |= {"corpora": corpora, "shard_documents": 500}
    raw["cascade"]["sample"] = 200
    small = validate(raw)
    shard = "embedded/shard0000.parquet"
    write_shard(small, "embedded", 0, data / "corpus" / shard)
    write_duplicates(small, "embedded", data / "corpus", data / "deduplication/embedded.parquet")
    repeated = data / "deduplication/embedded.parquet"
    write_labels(small, "embedded", 0, data / "corpus" / shard, repeated, results, data / "labels" / shard)
    statistics = results / "pretraining_statistics"
    write_pretraining_statistics(small, data / "labels", data / "corpus", statistics)
    write_cascade(small, data, results / "cascade")
    rows = [("test", "train", kind, 0, 20, 300, False) for kind in ("numbers", "problem", "prompt")]
    rows.append(("test", HOSTILE, "problem", 3, 20, 300, True))
    write_parquet(pd.DataFrame(rows, columns=LEAKAGE), results / "leakage" / "leakage.parquet")
    stamp(results / "leakage", settings={}, parents=[])


def _priming(path: Path, n: int, priming: str) -> None:
    rows = []
    for i in range(n):
        response = SEARCH if i % 4 else DIRECT
        spans = spans_in(response)
        counts = {name: sum(s["behavior"] == name for s in spans) for name in BEHAVIORS}
        rows.append(
            {
                "trace_id": f"{priming}-{i}",
                "numbers": [3, 7, 1 + i % 9],
                "target": 21,
                "response": response,
                "teacher": "symbolic",
                "verdict": "correct" if i % 5 else "wrong_value",
                "n_tokens": len(response.split()) + i % 7,
                "stop_reason": "found",
                "planted": [{"behavior": name, "count": count} for name, count in counts.items()],
                "spans": spans,
            }
        )
    write_parquet(pd.DataFrame(rows), path)
    stamp(path, settings={}, parents=[])


def _problems(params: Params, folder: Path) -> None:
    sizes = {
        "train": params.countdown.train,
        "validation": params.countdown.validation,
        "test": params.countdown.test,
    }
    for split, n in sizes.items():
        extra = [
            {
                "problem_id": f"{min(3, 1 + i % 15)}-3-7={20 + i}",
                "operands": 3,
                "n_solutions": 1 + i % 4,
                "needs_division": i % 10 == 0,
                "depth": 1 + i % 2,
                "solution": f"{20 + i} as it should be",
            }
            for i in range(n)
        ]
        truth = [
            {"style": "rule", "ground_truth": {"target": 10 + i % 91, "numbers": [3, 7, 2]}} for i in range(n)
        ]
        write_parquet(pd.DataFrame({"reward_model": truth, "extra_info": extra}), folder / f"{split}.parquet")
        stamp(folder / f"{split}.parquet", settings={}, parents=[])


def _figures(params: Params, folder: Path) -> None:
    for name in available_figures(params):
        title = name.replace("_", " ").capitalize()
        card = {
            "title": f"{title} over RL steps",
            "caption": "Mean, 95% interval.",
            "alt": f"{title} rises.",
            "size": [6.4, 3.0],
            "points": _points(params),
        }
        write_text(FIGURE.format(name=name), folder / f"{name}.svg")
        write_text(json.dumps(card), folder / f"{name}.json")
        stamp(folder / f"{name}.json", settings={"figure": name}, parents=[])


def _points(params: Params) -> list[dict[str, Any]]:
    """A point for every run at step 0 and its last one, and a published one."""
    rows = []
    for run, line in params.runs.items():
        steps = params.rl_settings(line).steps
        for step in (0, steps):
            where = {"model": run.model, "priming": run.priming, "algorithm": run.algorithm, "rl_step": step}
            rows.append(_point(step, step / 90, "results/statistics/curves.parquet", where))
    return [*rows, _point(250, 0.97, "workflow/published/cognitive_behaviors.csv", {"condition": "none"})]


def _point(step: int, left: float, table: str, where: dict[str, Any]) -> dict[str, Any]:
    place = {"panel": "Accuracy", "series": f"{HOSTILE} {len(where)}", "left": left, "top": 0.5}
    numbers = {"x": step, "value": 0.25, "low": 0.2, "high": None, "n_problems": 12, "n_seeds": 0}
    return {**place, **numbers, "origin": {"table": table, "where": where}}
