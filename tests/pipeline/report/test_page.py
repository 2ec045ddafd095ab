"""The page in a real browser: what it shows, that it loads nothing, and that nothing of others acts in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from bronze.verify import Severity
from pipeline.report.facts import EraFacts
from pipeline.report.page import render_page
from pipeline.report.results import result_of
from tests.pipeline.report.conftest import finding, grid, made_facts, manifest
from tests.support.browser import Browser

pytestmark = pytest.mark.timeout(120)

Show = Callable[[str], Browser]
WIDTHS = (320, 390, 820, 1280, 2200)
NASTY = (
    "<script>window.hacked=1;console.error('hacked')</script>",
    "<img src=x onerror=\"window.hacked=1\">",
    "'\"><svg onload=window.hacked=1><style>*{background:url(http://127.0.0.1:9/x)}</style>",
    "{{ 7*7 }}{% raw %}</title></main><base href=http://127.0.0.1:9/>",
    "\u202egnp.exe",
)  # fmt: skip


def rendered(facts: Sequence[EraFacts], place: str = "s3://bucket/bronze") -> str:
    results = [result_of(one.audit, "checked while this page was made") for one in facts]
    return render_page(facts, results, place=place, version="v2.0.0")


def example() -> EraFacts:
    """Ten partitions, of which two are missing, one failed and one is not finished."""
    parts = grid(10)
    return made_facts(
        [*parts[:3], *parts[5:]],
        gaps=[Partition(parts[3].start, parts[4].end)],
        findings=[
            finding(str(parts[1]), "has the checksum sha256:0", expected="sha256:1", remedy="bronze-copier run"),
            finding(str(parts[9]), "is being replaced", severity=Severity.NOTE),
            finding("", "cannot be reached", severity=Severity.UNCHECKED),
        ],
    )


def test_page_shows_every_kind(show: Show) -> None:
    page = show(rendered([example()]))
    count = "document.querySelectorAll('.map .cell{}').length"
    assert [page.evaluate(count.format(kind)) for kind in ("", ".m", ".f", ".u")] == [10, 2, 1, 1]
    assert page.evaluate("document.querySelector('.map .f').title") == "12-21 failed a check"
    text = page.evaluate("document.body.innerText")
    for words in (
        "DOES NOT HOLD", "exists: 6",
        "missing: 2", "failed a check: 1", "not finished: 1", "32-51", "expected sha256:1",
        "bronze-copier run", "8 events were checked", f"sha256:{'ab' * 32}",
        "the rows (--level rows)", "could not be checked", "Protocol versions", "23",
        "had a signature that held", "Ledgers published, by date", "pubnet/e1/v1",
    ):  # fmt: skip
        assert words in text, words
    assert page.evaluate("document.querySelectorAll('figure svg path').length") == 3


def test_page_loads_nothing(show: Show, tmp_path: Path) -> None:
    page = show(rendered([example(), made_facts(grid(3), chain="pubnet/e2/v1")]))
    page.look(390, dark=True)
    assert page.requests == [(tmp_path / "report.html").as_uri()]
    assert page.complaints == []
    assert page.evaluate("document.scripts.length + document.images.length + document.links.length") == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_page_fits_every_width(show: Show, width: int) -> None:
    page = show(rendered([example(), made_facts(grid(1000), chain="pubnet/e2/v1")], place="s3://" + "long" * 60))
    page.look(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") == 16


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_colours_have_contrast(show: Show, dark: bool) -> None:
    page = show(rendered([example()]))
    page.look(1280, dark=dark)
    names = ("text", "soft", "failed", "missing", "good", "exists")
    read = "getComputedStyle(document.documentElement).getPropertyValue('--{}').trim()"
    grounds = [page.evaluate(read.format(name)) for name in ("ground", "panel")]
    for name in names:
        for ground in grounds:
            assert contrast(page.evaluate(read.format(name)), ground) >= 4.5, (name, ground)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_kinds_differ_without_colour(show: Show) -> None:
    page = show(rendered([example()]))
    shape = (
        "(kind => { const cell = document.querySelector('.map .cell' + kind), style = getComputedStyle(cell);"
        " return [style.borderStyle, style.borderWidth, getComputedStyle(cell, '::before').content,"
        " style.backgroundColor == getComputedStyle(document.querySelector('.map .cell')).backgroundColor].join() })"
    )
    shapes = {page.evaluate(f"{shape}('{kind}')") for kind in (":not(.m):not(.f):not(.u)", ".m", ".f", ".u")}
    assert len(shapes) == 4


def test_print_is_light(show: Show, tmp_path: Path) -> None:
    page = show(rendered([example()]))
    page.look(800, dark=True, media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("getComputedStyle(document.querySelector('.map .cell')).printColorAdjust") == "exact"
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("nasty", NASTY)
def test_hostile_text_stays_text(show: Show, nasty: str, tmp_path: Path) -> None:
    parts = grid(3)
    facts = made_facts(
        parts,
        findings=[finding(nasty, nasty, expected=nasty, remedy=nasty, object=nasty, level=nasty)],
        manifests=tuple(
            manifest(one, producer=Producer(nasty, nasty, nasty), created_at=nasty, version_label=nasty)
            for one in parts
        ),
        chain="pubnet/e1/v1",
    )  # fmt: skip
    facts.audit.url = facts.audit.head = nasty
    facts.audit.checked = facts.audit.not_checked = [nasty]
    page = show(rendered([facts], place=nasty))
    assert page.evaluate("window.hacked") is None
    assert page.complaints == []
    assert page.requests == [(tmp_path / "report.html").as_uri()]
    elements = "document.querySelectorAll('script, img, base, iframe, [onload], [onerror]').length"
    assert page.evaluate(elements) == 0
    assert page.evaluate("document.querySelectorAll('main').length") == 1
    text = page.evaluate("document.body.innerText")
    assert (nasty if nasty.isprintable() else "\\u202egnp.exe") in text
    assert "\u202e" not in text


def test_large_destination_stays_small(show: Show) -> None:
    parts = grid(6500, size=10_000, start=0)
    published = [one for number, one in enumerate(parts) if number % 50]
    facts = made_facts(
        published,
        gaps=[one for number, one in enumerate(parts) if not number % 50],
        findings=[finding(str(one), "has the checksum " + "0" * 64, expected="x" * 300) for one in published[::3]],
        partition_size=10_000,
    )
    text = rendered([facts])
    assert len(text.encode()) <= 2_000_000
    page = show(text)
    assert page.evaluate("document.querySelectorAll('.map .cell').length") == 6500
    page.look(390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.complaints == []


def test_empty_destination_says_so() -> None:
    text = rendered([])
    assert "NOTHING TO VERIFY" in text
    assert re.search(r"0 eras, 0 partitions", text)
    assert "No partition was found there." in text


def test_repeated_findings_are_listed_once() -> None:
    facts = example()
    own = result_of(facts.audit, "checked while this page was made")
    facts.audit.findings.append(finding("62-71", "has another row", level="rows"))
    later = result_of(facts.audit, "verify.json, a file")
    text = render_page([facts], [own, later], place="s3://bucket/bronze", version="v2.0.0")
    assert text.count("has the checksum sha256:0") == text.count("has another row") == 1
    assert "4 of its findings are listed above already; the others:" in text
    assert text.count("Head: <code") == 1
    assert "(checked while this page was made; verify.json, a file)" in text


def test_broken_chain_names_no_head() -> None:
    facts = example()
    facts.audit.head = ""
    text = rendered([facts])
    assert "They do not make a whole chain" in text
    assert "Head: <code" not in text


def test_overview_colours_what_fails(show: Show) -> None:
    page = show(rendered([example(), made_facts(grid(3), chain="pubnet/e2/v1")]))
    colour = "getComputedStyle(document.querySelectorAll('td span')[{}]).color"
    body = page.evaluate("getComputedStyle(document.body).color")
    failing, holding = (page.evaluate(colour.format(at)) for at in (0, 1))
    assert len({body, failing, holding}) == 3


def test_one_date_makes_no_date_chart(show: Show) -> None:
    parts = grid(3)
    facts = made_facts(parts, manifests=tuple(manifest(one, created_at="2026-01-01T00:00:00Z") for one in parts))
    page = show(rendered([facts]))
    assert page.evaluate("document.querySelectorAll('figure').length") == 1
    assert "All manifests say 2026-01-01 00:00." in page.evaluate("document.body.innerText")


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00"])
def test_time_that_is_none_makes_no_chart(time: str) -> None:
    """Not even a page, before: a manifest may state any time."""
    parts = grid(3)
    page = rendered([made_facts(parts, manifests=tuple(manifest(one, created_at=time) for one in parts))])
    assert "Protocol versions" in page
    assert "by date" not in page
