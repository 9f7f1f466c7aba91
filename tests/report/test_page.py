"""The page of a report: complete, safe whatever texts hold, and working in a browser."""

import re
import shutil

import pytest

from qa.evaluation.mistakes import Given, judge
from qa.report.page import KIND_NAMES, Report, page
from qa.report.summary import summarise
from tests.support import tiny

CHROMIUM = shutil.which("chromium")
HOSTILE = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\"> & 'quoted' \u202e"
ROWS = [
    tiny.example(f"Who built {HOSTILE}?", f"It was built by Ragna Lund. {HOSTILE}", "Ragna Lund", id=f"a{HOSTILE}"),
    tiny.example("When was it built?", "It was built in 1871 or so, in Skarholm.", "1871", id="b"),
    tiny.example("Where is it?", "It was built in 1871 or so, in Skarholm.", "Skarholm", id="c"),
    tiny.example("Why was it built?", "It was built in 1871 or so, in Skarholm.", id="d"),
    tiny.example("من بنى المنارة؟", "بنتها راغنا لوند في عام 1871.", "راغنا لوند", id="e"),
]
GIVEN = {
    ROWS[0]["id"]: Given(text=HOSTILE.strip(), place=(28, 28 + len(HOSTILE)), probability=0.9),
    "b": Given(text="in 1871", place=(13, 20), probability=0.7),
    "c": Given(text="Skarholm", place=(31, 39), probability=0.8),
    "d": Given(text="1871", place=(16, 20), probability=0.3),
    "e": Given(text="", place=None, probability=0.6),
}


def report(**changes):
    answers = judge(ROWS, GIVEN, language="en")
    values = {
        "title": f"Answers of {HOSTILE}",
        "subtitle": "model minilm",
        "summary": summarise(answers, language="en"),
        "shown": answers,
        "curves": {"Loss": {"loss": [(10, 5.1), (20, 3.2), (30, 2.9)]}},
    }
    return Report(**(values | changes))


def test_nothing_is_loaded_from_elsewhere_and_no_text_becomes_markup():
    html = page(report())
    assert html.count("<script>") == 1
    assert "<img" not in html
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", html)


def test_the_charts_are_there_where_there_is_something_to_draw():
    charts = re.findall(r"<figcaption>([^:<]*)", page(report()))
    assert charts == ["Reliability", "Risk over coverage", "Loss"]
    unsure = {key: Given(text=one.text, place=one.place, probability=None) for key, one in GIVEN.items()}
    answers = judge(ROWS, unsure, language="en")
    plain = page(report(summary=summarise(answers, language="en"), shown=answers, curves={}))
    assert "<figure" not in plain
    assert "probability" not in plain


def test_a_long_context_is_cut_around_the_marks():
    row = tiny.example("Who?", "x " * 5000 + "Ragna Lund" + " y" * 5000, "Ragna Lund", id="long")
    answers = judge([row], {"long": Given(text="", place=None, probability=0.5)}, language="en")
    html = page(report(summary=summarise(answers, language="en"), shown=answers))
    assert "Ragna Lund</mark>" in html
    assert html.count("x x x") < 1000


@pytest.fixture
def shown(tmp_path):
    """The page in Debian's Chromium, with what it complained of."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="drives a browser; pip install playwright")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    path = tmp_path / "page.html"
    path.write_text(page(report()), encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        complaints = []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: complaints.extend([] if request.url.startswith("file:") else [request.url]))
        tab.goto(path.as_uri())
        yield tab
        browser.close()
    assert [one for one in complaints if not one.startswith("data:")] == []


@pytest.mark.slow
def test_the_page_in_a_browser(shown):
    assert shown.title() == f"Answers of {HOSTILE}".strip()
    assert shown.locator("h1").inner_text() == f"Answers of {HOSTILE}".strip()
    visible = shown.locator("article:visible")
    assert visible.count() == 4  # right answers are not shown at first
    assert shown.locator("#shown").inner_text() == "4 of 5 shown"

    shown.get_by_label(KIND_NAMES[None], exact=True).check()
    assert visible.count() == 5
    for kind in ("missed", "invented", "boundary"):
        shown.get_by_label(KIND_NAMES[kind], exact=True).uncheck()
    assert [article.get_attribute("data-kind") for article in visible.all()] == ["elsewhere", "right"]

    shown.locator("#slice").select_option("question word: where")
    assert visible.locator("h3").all_inner_texts() == ["Where is it?"]
    shown.locator("#slice").select_option("")
    shown.locator("#words").fill("RAGNA")
    assert visible.count() == 1
    assert visible.locator(".context mark.reference").inner_text() == "Ragna Lund"
    assert visible.locator(".context mark.answer").inner_text() == HOSTILE


@pytest.mark.slow
def test_the_page_fits_a_telephone(shown):
    shown.set_viewport_size({"width": 360, "height": 640})
    assert shown.evaluate("document.documentElement.scrollWidth") <= 360
    assert shown.locator("article").nth(4).locator(".context").evaluate("e => getComputedStyle(e).direction") == "rtl"
