"""A site opened from disk in a headless Chromium; a walk from figures' points to what lies behind them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Locator, Page, expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "no Chromium on PATH (Debian: apt install chromium)"
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]


@dataclass
class Site:
    """A site in a browser; ``complaints`` collects what no page may do.

    Attributes:
        complaints: errors of scripts, messages of the console, requests to anything but files of the site.
    """

    folder: Path
    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("request", lambda request: self._note(request.url))
        self.page.set_default_timeout(30_000)

    def _note(self, url: str) -> None:
        if not url.startswith((self.folder.resolve().as_uri(), "data:")):
            self.complaints.append(f"request: {url}")

    def open(self, file: str, **filters: object) -> Page:
        """A page, with filters in its address; the rollout browser is ready when this returns."""
        self.page.goto("about:blank")
        address = (self.folder / file).resolve().as_uri()
        self.page.goto(f"{address}#{urlencode(filters)}" if filters else address)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until the rollout browser shows what its address asks for; other pages are ready at once."""
        if "rollouts.html" in self.page.url:
            expect(self.page.locator("#shown")).not_to_contain_text("Loading", timeout=30_000)

    def cards(self) -> Locator:
        """The rollouts shown."""
        return self.page.locator("#rollouts > li")


@contextmanager
def browsing(folder: Path) -> Iterator[Site]:
    """The site in ``folder`` in a browser window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield Site(folder, browser.new_page(viewport={"width": 1280, "height": 900}))
        finally:
            browser.close()


def walk(site: Site, pages: list[str], most: int, seed: int = 1) -> int:
    """Walk ``most`` random points of the figures of ``pages`` to their rollouts and provenance; how many did.

    From a point: click one shows its row; click two its rollouts, where click three opens the prompt, or its
    table's entry with rule, settings, parents and code.
    """
    points = [(page, place) for page in pages for place in range(_points(site, page))]
    chosen = random.Random(seed).sample(points, min(most, len(points)))
    walked = [_walk_point(site, page, place) for page, place in sorted(chosen)]
    return sum(walked)


def _points(site: Site, page: str) -> int:
    return site.open(page).locator("svg.points a").count()


def _walk_point(site: Site, file: str, place: int) -> bool:
    if urlsplit(site.page.url).path.rpartition("/")[2] != file:
        site.open(file)
    point = site.page.locator("svg.points a").nth(place)
    target = point.get_attribute("href").removeprefix("#")
    point.dispatch_event("click")
    row = site.page.locator(f"tr[id='{target}']")
    row.wait_for(state="visible")
    links = {link.get_attribute("href").partition("#")[0]: link for link in row.locator("a").all()}
    if not links:
        assert "published" in row.inner_text()
        return True
    address = site.page.url
    artifact = links["provenance.html"].get_attribute("href").partition("#")[2]
    links["provenance.html"].click()
    _check_artifact(site.page, artifact)
    if "rollouts.html" not in links:
        return True
    site.page.goto(address)
    wanted = links["rollouts.html"].get_attribute("href")
    site.page.locator(f"tr[id='{target}'] a[href^='rollouts.html']").click()
    _check_rollouts(site, parse_qs(wanted.partition("#")[2]))
    return True


def _check_artifact(page: Page, artifact: str) -> None:
    entry = page.locator(f"details[id='{artifact}']")
    entry.locator("dl").wait_for(state="visible")
    said = entry.inner_text()
    assert all(word in said for word in ("Rule", "Hash", "Settings hash", "Code", "Made from")), said[:400]


def _check_rollouts(site: Site, wanted: dict[str, list[str]]) -> None:
    site.settle()
    if wanted.keys() & {"behavior", "rater"} and site.cards().count() == 0:
        assert "No rollout" in site.page.locator("#shown").inner_text(), "nobody showed the behavior there"
        return
    first = site.cards().first
    facts = dict(
        zip(first.locator("dt").all_inner_texts(), first.locator("dd").all_inner_texts(), strict=True)
    )
    if "step" in wanted:
        assert facts["RL step"] == wanted["step"][0]
    first.locator("summary", has_text="Prompt").click()
    assert first.locator("details[open] .trace").first.inner_text().strip()
    made = first.locator("a", has_text="How it was made").get_attribute("href")
    assert made.startswith("provenance.html#results-rollouts-")
