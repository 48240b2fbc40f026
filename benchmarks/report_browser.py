"""The rollout browser at size: bytes on disk, processor time to write, time until a browser shows it.

Run ``python benchmarks/report_browser.py [ROLLOUTS]``; writes benchmarks/results/report_browser.json. Random
traces of arithmetic, of the tiny models' length, spread over the runs of the laptop preset; opened from disk
in headless Chromium (Debian: apt install chromium), whose page the time counts from.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

from habits.behaviors.behaviors import SCHEMA
from habits.params import Params, RunId, load
from habits.report.browser import Browser, write_browser
from habits.report.inputs import SPLITS, Inputs
from habits.report.labels import BEHAVIOR_NAMES, REASONS
from habits.report.pages import PAGES
from habits.report.site import environment, render

RESULTS = Path(__file__).parent / "results" / "report_browser.json"
LAPTOP = Path(__file__).parents[1] / "workflow/presets/laptop.yaml"
PROBLEMS, STEPS, POOL = 256, (0, 10, 20, 30, 40), 20_000
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"


def main(rollouts: int) -> None:
    """Write a site of ``rollouts`` rollouts and open it; record what it took."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        params = load(LAPTOP)
        write_rollouts(params, root, rollouts)
        started = time.process_time()
        browser = write_browser(Inputs(params, root / "results", root / "data"), root / "reports/rollouts")
        seconds = time.process_time() - started
        record = {
            "rollouts": browser.total,
            "shown": browser.shown,
            "megabytes": round(browser.bytes / 1e6, 1),
            "processor_seconds_to_write": round(seconds, 1),
            "seconds": open_page(root / "reports", browser),
        }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def write_rollouts(params: Params, root: Path, rollouts: int) -> None:
    """Rollouts and behaviors of every run of the matrix, and the problems."""
    dice = random.Random(1)
    traces = [trace(dice) for _ in range(POOL)]
    spans = [[span(text, dice) for _ in BEHAVIOR_NAMES] for text in traces]
    each = rollouts // len(params.runs)
    for run in params.runs:
        chosen = [dice.randrange(POOL) for _ in range(each)]
        write_run(root / "results", run, [traces[i] for i in chosen], [spans[i] for i in chosen], dice)
    extra = [{"problem_id": f"3-7-{i}=21", "solution": "3 * 7"} for i in range(PROBLEMS)]
    folder = root / "data/problems/countdown"
    folder.mkdir(parents=True)
    for split in SPLITS:
        pd.DataFrame({"extra_info": extra}).to_parquet(folder / f"{split}.parquet")


def trace(dice: random.Random) -> str:
    """A response of random length, whose words are as hard to compress as those of a search."""

    def number() -> int:
        return dice.randint(1, 100)

    attempts = [
        f"{number()} {dice.choice('+-*/')} {number()} = {number()}" for _ in range(dice.randint(3, 22))
    ]
    return " ; ".join(attempts) + f" check {number()} yes </think> <answer> {number()} - {number()} </answer>"


def span(text: str, dice: random.Random) -> list[dict[str, int]]:
    """Up to five places in a text."""
    starts = [dice.randrange(len(text) - 9) for _ in range(dice.randint(0, 5))]
    return [{"start": start, "end": start + 9} for start in starts]


def write_run(
    results: Path,
    run: RunId,
    texts: list[str],
    spans: list[list[list[dict[str, int]]]],
    dice: random.Random,
) -> None:
    """The two tables of one run."""
    reasons = list(REASONS)
    n = len(texts)
    names = [f"{run.path}/{i}" for i in range(n)]
    steps = [STEPS[i % len(STEPS)] for i in range(n)]
    problems = [i // len(STEPS) % PROBLEMS for i in range(n)]
    rows = {
        "rollout_id": names,
        "rl_step": steps,
        "problem_id": [f"3-7-{problem}=21" for problem in problems],
        "sample_id": [i // len(STEPS) // PROBLEMS for i in range(n)],
        "prompt": [f"nums 3 7 {problem} target 21 <think>" for problem in problems],
        "response": texts,
        "n_tokens": [len(text.split()) for text in texts],
        "reward": [0.1] * n,
        "reason": [dice.choice(reasons) for _ in texts],
    }
    write(results / "rollouts" / f"{run.path}.parquet", pa.table(rows))
    places = [place for per_text in spans for place in per_text]
    carried = {"model": run.model, "priming": run.priming, "algorithm": run.algorithm, "seed": run.seed}
    columns = {key: [value] * len(places) for key, value in carried.items()} | {
        "rollout_id": [name for name in names for _ in BEHAVIOR_NAMES],
        "rl_step": [step for step in steps for _ in BEHAVIOR_NAMES],
        "behavior": list(BEHAVIOR_NAMES) * n,
        "count": [len(place) for place in places],
        "rater": ["oracle"] * len(places),
        "status": ["ok"] * len(places),
        "spans": places,
    }
    write(results / "behaviors" / f"{run.path}.parquet", pa.table(columns, schema=SCHEMA))


def write(path: Path, table: pa.Table) -> None:
    """A parquet file and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def open_page(folder: Path, browser: Browser) -> dict[str, float]:
    """Seconds until the first paint, until the first results, and from two filters until their results."""
    page = next(page for page in PAGES if page.file == "rollouts.html")
    html = render(environment(PAGES), page, preset="laptop", browser=browser, judged=False)
    (folder / page.file).write_text(html)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = chromium.new_page()
        started = time.perf_counter()
        tab.goto((folder / page.file).as_uri())
        results = shown(tab, " of ", started)
        paint = float(tab.evaluate(PAINTED)) / 1000
        started = time.perf_counter()
        tab.locator("[name=outcome]").select_option("correct")
        tab.locator("[name=step]").select_option("40")
        filtered = shown(tab, " of ", started)
        chromium.close()
    return {
        "first_paint": round(paint, 2),
        "first_results": round(results, 2),
        "two_filters": round(filtered, 2),
    }


def shown(tab: Tab, words: str, started: float) -> float:
    """Seconds until results stand below the filters."""
    tab.locator("#shown", has_text=words).wait_for()
    tab.locator("#rollouts > li").first.wait_for()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
