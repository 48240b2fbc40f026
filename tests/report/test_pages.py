"""What every page of the site must keep to: nothing fetched, links that resolve, readable by everybody."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from finished_run import decided
from markup import elements

from habits.report.labels import BEHAVIOR_NAMES, BEHAVIORS
from habits.report.overview import MAIN_FIGURE
from habits.report.pages import pages_of
from habits.report.site import TEMPLATES

FETCHING = {"src", "srcset", "poster", "data", "action", "formaction", "background", "xlink:href"}


def test_no_page_can_load_anything_from_outside(site, page):
    html = site.html(page)
    for element in elements(html):
        urls = [value for name, value in element.attributes.items() if name in FETCHING]
        if element.tag == "link":
            urls.append(element.attributes["href"])
        assert all(url.startswith("data:") for url in urls), element
        if "href" in element.attributes:
            assert urlsplit(element.attributes["href"]).scheme in ("", "data")
        assert not [name for name in element.attributes if name.startswith("on")], element
    assert not re.search(r"@import|url\((?!\")", html.split("</style>")[0])


def test_policy_admits_exactly_the_scripts_of_the_site(site, page):
    html = site.html(page)
    policy = next(e for e in elements(html, "meta") if "http-equiv" in e.attributes).attributes["content"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    for script in elements(html, "script"):
        if script.attributes.get("type") != "application/json":
            digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy


def test_internal_links_resolve(site, page):
    conditions = {f"{run.model}/{run.priming}/{run.algorithm}" for run in site.params.runs}
    for link in elements(site.html(page), "a"):
        parts = urlsplit(link.attributes["href"])
        target = site.out / (parts.path or page)
        assert target.is_file(), link
        if "=" in parts.fragment:
            assert parse_qs(parts.fragment)["condition"][0] in conditions
        elif parts.fragment:
            ids = [e.attributes["id"] for e in elements(target.read_text()) if "id" in e.attributes]
            assert ids.count(parts.fragment) == 1, link


def test_ids_are_unique_and_navigation_marks_the_page(site, page):
    found = elements(site.html(page))
    ids = [element.attributes["id"] for element in found if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    current = [e.attributes["href"] for e in found if e.attributes.get("aria-current") == "page"]
    assert current == [page]


def test_every_page_is_two_clicks_from_every_other(site, page):
    near = _linked(site, page)
    assert near | {p for other in near for p in _linked(site, other)} >= {
        p.file for p in pages_of(site.params)
    }


def _linked(site, page: str) -> set[str]:
    hrefs = {urlsplit(e.attributes["href"]).path for e in elements(site.html(page), "a")}
    return {name for name in hrefs if name.endswith(".html")} | {page}


def test_accessible_structure(site, page):
    found = elements(site.html(page))
    assert found[0].tag == "html" and found[0].attributes["lang"] == "en"
    assert all(e.attributes.get("alt") for e in found if e.tag == "img")
    assert all(e.attributes.get("scope") for e in found if e.tag == "th")
    assert sum(e.tag == "caption" for e in found) == sum(e.tag == "table" for e in found)
    levels = [int(e.tag[1]) for e in found if re.fullmatch(r"h[1-6]", e.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below - above <= 1 for above, below in zip(levels, levels[1:], strict=False)), levels
    for graphic in (e for e in found if e.tag == "svg"):
        assert graphic.attributes.get("aria-hidden") == "true" or graphic.attributes.get("aria-label")
    labels = [e.tag for e in found if e.tag in ("label", "select", "input")]
    assert all(a == "label" for a, b in zip(labels, labels[1:], strict=False) if b in ("select", "input"))


def test_hostile_text_stays_text(site, page):
    html = site.html(page)
    assert not [e for e in elements(html, "img") if e.attributes.get("src") == "x"]
    assert not [e for e in elements(html, "b", "i") if e.text in ("bold", "hurts")]
    assert "alert('owned')" not in "".join(e.text for e in elements(html, "script") if not e.attributes)


def test_every_claim_stands_there_with_its_verdict(site):
    html = site.html("claims.html")
    for result in decided().results:
        row = html.split(f'id="claim-{result.claim.id}"')[1].split("</tbody>")[0]
        assert f'class="verdict {result.verdict}"' in row
        assert result.reason in row and result.claim.source in row
        assert result.claim.sentence.replace("<", "&lt;").replace(">", "&gt;") in row
    first = html.split('id="claim-primed"')[1].split("</tbody>")[0]
    for shown in ("+20.0", "[+14.9, +26.2]", "50.0%", "30.0%", "+43.6", "77.4% vs. 33.8%", "p &lt; 0.001"):
        assert shown in first
    assert "Only the directions are comparable" in html and "0.8M" in site.html("index.html")


def test_effects_on_the_social_page_are_points_or_tokens(site):
    """Of a finished run whose findings all have an effect of 0.031 from -0.01 to 0.07."""
    cells = [
        row.split("</td>")[0] for row in site.html("social.html").split('data-head="Our effect" class="n">')
    ]
    shown = [re.sub(r"<[^>]+>", " ", cell).split() for cell in cells[1:]]
    assert ["+3.1", "points", "[\u22121.0,", "+7.0]"] in shown
    assert ["0.0", "tokens", "[0.0,", "+0.1]"] in shown


def test_a_claim_stands_with_the_experiments_that_hold_both_its_sides(site):
    held = {
        page: "claim-primed" in site.html(page)
        for page in ("behavior_sets.html", "controls.html", "base_models.html", "algorithms.html")
    }
    assert held == dict(zip(held, (True, True, False, False), strict=True))


def test_conclusion_counts_the_verdicts(site):
    text = re.sub(r"\s+", " ", site.html("index.html").split('class="conclusion">')[1].split("</p>")[0])
    assert "tested at this size: 1 supported, 1 not supported, 1 inconclusive and 1 not run" in text


def test_same_inputs_same_bytes(site, tmp_path: Path):
    from habits.report.report import write_report

    write_report(site.params, site.results, site.data, tmp_path)
    for path in site.out.rglob("*"):
        if path.is_file() and path.name != "provenance.json":
            assert (tmp_path / path.relative_to(site.out)).read_bytes() == path.read_bytes(), path


def test_words_are_those_of_the_analysis_and_the_figures():
    from habits.analysis import evaluations
    from habits.figures.style import BEHAVIOR_LOOKS

    assert evaluations.BEHAVIORS == BEHAVIOR_NAMES
    assert {b.name: b.title for b in BEHAVIORS} == {n: look.label for n, look in BEHAVIOR_LOOKS.items()}


def test_the_overview_shows_the_main_figure(site):
    shown = [e.attributes["id"] for e in elements(site.html("index.html"), "figure")]
    assert shown == [MAIN_FIGURE]


def test_every_figure_stands_on_one_page_besides_the_overview_and_is_downloadable(site):
    pages = [page.file for page in pages_of(site.params) if page.file != "index.html"]
    images = [image for page in pages for image in elements(site.html(page), "img")]
    embedded = sorted(base64.b64decode(image.attributes["src"].split(",")[1]) for image in images)
    originals = sorted((site.results / "figures").glob("*.svg"))
    assert embedded == sorted(path.read_bytes() for path in originals)
    assert all((site.out / "figures" / path.name).read_bytes() == path.read_bytes() for path in originals)


STYLE = (TEMPLATES / "style.css").read_text()
ON_PAPER = ("ink", "muted", "accent", "yes", "no", "open")
ON_OWN_TINT = ("yes", "no", "open", "verification", "backtracking", "subgoal_setting", "backward_chaining")


def _palettes() -> list[dict[str, str]]:
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", STYLE)
    palettes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]
    return [palette for palette in palettes if len(palette) > 1]


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_dark_palette_is_the_same_for_system_and_toggle():
    light, system, toggled = _palettes()
    assert system == toggled and set(system) == set(light)


@pytest.mark.parametrize("palette", _palettes()[:2], ids=["light", "dark"])
def test_contrast_reaches_wcag_aa(palette: dict[str, str]):
    pairs = [(name, ground) for name in ON_PAPER for ground in ("paper", "sunk")]
    pairs += [(name, f"{name}-bg") for name in ON_OWN_TINT]
    pairs += [("ink", f"{name}-bg") for name in ON_OWN_TINT]
    weak = {pair: round(_contrast(palette[pair[0]], palette[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}
