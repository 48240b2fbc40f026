"""The site in a real browser, where one is installed: nothing is fetched, filters work, text stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from finished_run import HOSTILE

from browsing import CHROMIUM, MISSING, Site, browsing, walk
from habits.report.experiments import EXPERIMENTS
from habits.report.pages import pages_of

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
PRIMED = "plain/backtracking_verification/ppo"


@pytest.fixture(scope="module")
def shown(site) -> Iterator[Site]:
    with browsing(site.out) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_complaint(shown: Site) -> Iterator[None]:
    """Whatever a test does: no error, no message on the console, no request beyond the site's own files."""
    yield
    assert shown.complaints == []


def test_pages_open_without_errors_and_their_links_lead_somewhere(site, shown: Site):
    files = [page.file for page in pages_of(site.params)]
    for file in files:
        page = shown.open(file)
        hrefs = page.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))")
        for parts in map(urlsplit, hrefs):
            assert (site.out / (parts.path or file)).is_file(), parts
            if parts.fragment and parts.path in ("", file):
                assert page.locator(f"[id='{parts.fragment}']").count() == 1, (file, parts)


def test_no_page_is_wider_than_a_phone(site, shown: Site):
    shown.page.set_viewport_size({"width": 390, "height": 844})
    wide = {
        page.file: width
        for page in pages_of(site.params)
        if (width := shown.open(page.file).evaluate("document.documentElement.scrollWidth")) > 390
    }
    shown.page.set_viewport_size({"width": 1280, "height": 900})
    assert wide == {}


def test_filters_in_the_address_and_marks(shown: Site):
    page = shown.open("rollouts.html", condition=PRIMED, step=40, behavior="verification")
    assert 0 < shown.cards().count() <= 20
    facts = page.locator("#rollouts dd").all_inner_texts()
    terms = page.locator("#rollouts dt").all_inner_texts()
    said = {(term, fact) for term, fact in zip(terms, facts, strict=True)}
    assert {fact for term, fact in said if term == "Condition"} == {"plain base, backtracking + verification"}
    assert {fact for term, fact in said if term == "RL step"} == {"40"}
    labels = page.eval_on_selector_all("#rollouts mark", "marks => marks.map(mark => mark.dataset.label)")
    assert {"verify", "back", "subgoal", "backward"} <= set(labels)


def test_every_filter_keeps_what_it_says(site, shown: Site):
    page = shown.open("rollouts.html")
    total = _found(shown)
    assert total == sum(len(rows) for rows in _rollouts(site).values())
    for name, value in (
        ("outcome", "correct"),
        ("seed", "12"),
        ("experiment", "Base models"),
        ("step", "80"),
    ):
        page.locator("button[type=reset]").click()
        page.locator(f"[name={name}]").select_option(value)
        assert 0 < _found(shown) < total, name
    page.locator("button[type=reset]").click()
    page.locator("[name=problem]").fill("=20")
    assert 0 < _found(shown) < total


def test_hostile_response_is_shown_as_text(shown: Site):
    page = shown.open("rollouts.html", problem="=20")
    assert HOSTILE in page.eval_on_selector_all("#rollouts .trace", "all => all.map(one => one.textContent)")
    assert page.locator("main img").count() == 0


def test_neighbours_stand_side_by_side(shown: Site):
    page = shown.open("rollouts.html", condition=PRIMED, seed=11, step=20, problem="=21")
    first = shown.cards().first
    first.locator("summary", has_text="Other steps").click()
    first.locator(".strip section").first.wait_for()
    steps = [int(re.search(r"step (\d+)", text)[1]) for text in first.locator(".strip h3").all_inner_texts()]
    assert steps == [0, 10, 20, 30, 40]
    assert page.locator(".strip section.own").count() == 1
    first.locator("summary", has_text="Other conditions").click()
    first.locator(".strip").nth(1).locator("h3").first.wait_for()
    titles = first.locator(".strip").nth(1).locator("h3").all_inner_texts()
    assert any("searching" in title for title in titles) and all("step 20" in title for title in titles)


def test_the_judges_marks_and_stored_reply_are_there(shown: Site):
    page = shown.open("rollouts.html", condition=PRIMED, rater="judge", behavior="verification")
    first = shown.cards().first
    by_judge = first.locator(".trace").first.inner_html()
    first.locator("button", has_text="oracle").click()
    assert first.locator(".trace").first.inner_html() != by_judge
    first.locator("summary", has_text="Judge's reply").click()
    assert "Stored reply 000" in first.inner_text()
    assert page.locator("button[aria-pressed=true]").first.inner_text() == "oracle"


def test_random_points_lead_to_row_rollouts_and_provenance(shown: Site):
    pages = [experiment.file for experiment in EXPERIMENTS if experiment.figures]
    assert walk(shown, pages, most=12) == 12


def test_the_keyboard_reaches_everything_and_the_theme_is_kept(shown: Site):
    page = shown.open("index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    shown.open("claims.html")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def _found(shown: Site) -> int:
    """The number behind "of" in the line above the results, once it has settled."""
    shown.page.wait_for_timeout(150)
    return int(shown.page.locator("#shown").inner_text().rpartition(" ")[2].replace(",", ""))


def _rollouts(site) -> dict[str, list[object]]:
    import pandas as pd

    return {run.path: list(pd.read_parquet(site.inputs.rollouts(run)).index) for run in site.params.runs}
