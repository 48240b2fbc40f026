"""The rollout page in a real browser, where one is installed: its script runs, hostile text does not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest
from finished_run import HOSTILE
from markup import Element, elements

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --virtual-time-budget=3000 --dump-dom"
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")


def opened(path: Path, profile: Path, **filters: object) -> str:
    """The page's DOM after its scripts ran, opened from disk with filters in its address."""
    address = f"{path.resolve().as_uri()}#{urlencode(filters)}"
    command = [str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={profile}", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def cards(dom: str) -> list[Element]:
    return [e for e in elements(dom, "li") if e.attributes.get("class") == "rollout"]


def test_filters_in_the_address_and_marks(site, tmp_path: Path):
    filters = {"condition": "plain base, backtracking + verification", "step": 40, "behavior": "verification"}
    dom = opened(site.out / "rollouts.html", tmp_path, **filters)
    assert 0 < len(cards(dom)) <= 20
    facts = [e.text for e in elements(dom.split('id="rollouts"')[1], "dd")]
    assert set(facts[::6]) == {filters["condition"]} and set(facts[2::6]) == {"40"}
    labels = {e.attributes.get("data-label") for e in elements(dom.split('id="rollouts"')[1], "mark")}
    assert {"verify", "back", "subgoal", "backward"} <= labels


def test_hostile_response_is_shown_as_text(site, tmp_path: Path):
    dom = opened(site.out / "rollouts.html", tmp_path, problem="=20")
    traces = [e for e in elements(dom, "p") if e.attributes.get("class") == "trace"]
    assert HOSTILE in [e.text for e in traces]
    assert not elements(dom, "img")
    assert all(
        not e.attributes or e.attributes.get("type") == "application/json" for e in elements(dom, "script")
    )
