"""The page in a browser: what a person, a keyboard and a screen reader find there."""

import itertools
import shutil
from importlib.resources import files
from urllib.parse import quote

import pytest

from tests.support.service import CONTEXT, QUESTION

sync_api = pytest.importorskip("playwright.sync_api", reason="drives a browser; pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 640}


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def open_page(browser, client):
    """A function that opens the page; nothing may be asked of another host, and nothing may fail in the script."""
    complaints, opened = [], []

    def opening(*, fragment="", viewport=DESKTOP, scheme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=scheme, bypass_csp=False)
        opened.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        address = str(client.base_url)
        tab.on("request", lambda one: complaints.extend([] if one.url.startswith((address, "data:")) else [one.url]))
        tab.goto(f"{address}/{fragment}")
        return tab

    yield opening
    for context in opened:
        context.close()
    assert complaints == []


def ask(tab, text=CONTEXT, question=QUESTION, *, spans_only=True):
    tab.locator("#context").fill(text)
    tab.locator("#question").fill(question)
    if spans_only:
        tab.locator("#no-answer").uncheck()
    tab.locator("#ask").click()
    tab.locator("#result").wait_for(state="visible")


def is_in_sight(locator):
    box, height = locator.bounding_box(), locator.page.viewport_size["height"]
    return box is not None and box["y"] >= 0 and box["y"] + min(box["height"], 24) <= height


# --- asking ---


def answer(text, score, place=None):
    start = CONTEXT.index(text) if text else 0
    return {"answer": text, "score": score, "place_score": place or score, "start": start, "end": start + len(text)}


def answers_with(tab, *given, unknown=0.0, warnings=()):
    """Let the service answer so."""
    shares = {"questions": unknown, "contexts": 0.0}
    body = {"results": [list(given)], "unknown_tokens": shares, "warnings": list(warnings)}
    tab.route("**/answer", lambda route: route.fulfill(status=200, json=body))


def test_an_answer_that_is_clicked_becomes_the_headline(open_page):
    """Its percentage is the place's; "no answer" is one without a mark."""
    tab = open_page()
    answers_with(tab, answer("Francisco de Orellana", 0.5, 0.7), answer("1541", 0.15), answer("", 0.1))
    ask(tab)
    listed = tab.locator("#answers button")
    assert listed.all_inner_texts() == ["Francisco de Orellana · 70 %", "1541 · 15 %", "No answer in this text · 10 %"]
    assert tab.locator("#wording").inner_text() == "These very words: 50 %"
    for at, name in ((0, "Francisco de Orellana"), (1, "1541"), (0, "Francisco de Orellana")):
        listed.nth(at).click()
        assert tab.locator("#answer").inner_text() == tab.locator("#text mark").inner_text() == name
        assert [one.get_attribute("aria-pressed") for one in listed.all()] == [str(at == n).lower() for n in range(3)]
    listed.nth(2).focus()
    tab.keyboard.press("Enter")
    assert tab.locator("#answer").inner_text() == "No answer in this text"
    assert tab.locator("#text mark").count() == 0
    assert tab.locator("#wording").is_hidden()


@pytest.mark.parametrize("disjoint", [True, False])
def test_answers_do_not_overlap_unless_that_is_switched_off(disjoint, open_page, client):
    tab = open_page()
    assert tab.locator("#disjoint").is_checked()
    tab.locator("#disjoint").set_checked(disjoint)
    ask(tab)
    shown = tab.locator("#answers button").all_inner_texts()
    body = {"question": QUESTION, "context": CONTEXT, "top_k": 5, "no_answer": False, "overlap": 0 if disjoint else 1}
    found = client.post("/answer", json=body).json()["results"][0]
    assert [text.split(" · ")[0] for text in shown] == [" ".join(one["answer"].split()) for one in found]
    places = sorted((one["start"], one["end"]) for one in found)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(places)) == disjoint


def test_all_places_that_answer_are_marked_where_they_are_asked_for(open_page, client):
    tab = open_page()
    asked = []

    def two_places(route):
        asked.append(route.request.post_data_json)
        places = [
            {"passage": 0, "start": at, "end": at + len(text), "text": text, "score": score}
            for text, score in (("Amazon", 0.6), ("1541", 0.9))
            for at in [CONTEXT.index(text)]
        ]
        found = {"results": [places], "unknown_tokens": {"questions": 0, "contexts": 0}, "warnings": []}
        route.fulfill(json=found)

    tab.route("**/evidence", two_places)
    tab.locator("#everything").check()
    ask(tab)
    assert client.post("/evidence", json=asked[0]).status_code == 200
    assert tab.locator("#text mark").all_inner_texts() == ["Amazon", "1541"]
    assert tab.locator("#answers button").all_inner_texts() == ["Amazon · 60 %", "1541 · 90 %"]
    tab.locator("#answers button").nth(1).click()
    assert tab.locator("#text mark.chosen").all_inner_texts() == ["1541"]
    assert tab.locator("#text").inner_text() == CONTEXT


def test_that_no_place_answers_is_said(open_page):
    tab = open_page()
    nothing = {"results": [[]], "unknown_tokens": {"questions": 0, "contexts": 0}, "warnings": []}
    tab.route("**/evidence", lambda route: route.fulfill(json=nothing))
    tab.locator("#everything").check()
    ask(tab)
    assert tab.locator("#answer").inner_text() == "No answer in this text"
    assert tab.locator("#text mark").count() == 0


def test_without_suppression_percentages_are_those_of_wordings(open_page):
    tab = open_page()
    answers_with(tab, answer("Francisco de Orellana", 0.5, 0.7), answer("de Orellana", 0.2, 0.7))
    tab.locator("#disjoint").uncheck()
    ask(tab)
    assert tab.locator("#answers button").all_inner_texts() == ["Francisco de Orellana · 50 %", "de Orellana · 20 %"]
    assert tab.locator("#wording").inner_text() == "This place: 70 %"


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_texts_that_the_model_does_not_know_are_said_and_forgotten_with_the_next(viewport, open_page):
    tab = open_page(viewport=viewport)
    ask(tab, text="灯塔由拉格纳建造。", question="谁建造了灯塔？")
    sync_api.expect(tab.locator("#doubts")).to_contain_text("does not know")
    assert is_in_sight(tab.locator("#doubts"))
    tab.locator("#context").fill(CONTEXT)
    tab.locator("#question").fill(QUESTION)
    tab.locator("#ask").click()
    sync_api.expect(tab.locator("#doubts")).to_be_hidden()


def test_a_question_that_was_cut_is_said(open_page):
    tab = open_page()
    ask(tab, question=f"{'word ' * 200}?")
    assert tab.locator("#doubts").inner_text() == "The question is too long: its end was not read."


def test_the_answer_is_in_sight_on_long_texts_and_small_screens(open_page):
    for viewport in (DESKTOP, PHONE):
        tab = open_page(viewport=viewport)
        ask(tab, text=f"{'A line that says nothing at all. ' * 200}{CONTEXT}{' Another one. ' * 200}")
        tab.locator("#answers button").last.click()
        assert is_in_sight(tab.locator("#answer"))
        assert is_in_sight(tab.locator("#text mark"))
        assert tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_control_enter_asks_and_the_example_and_clear_work(open_page):
    tab = open_page()
    tab.locator("#example").click()
    tab.locator("#context").press("Control+Enter")
    tab.locator("#result").wait_for(state="visible")
    tab.locator("#clear").click()
    assert tab.locator("#context").input_value() == tab.locator("#question").input_value() == ""
    assert tab.locator("#result").is_hidden()
    assert "#" not in tab.url


def test_the_model_is_named_and_the_percentage_explained(open_page):
    tab = open_page()
    sync_api.expect(tab.locator("#model")).to_have_text("tiny")
    ask(tab)
    tab.locator("summary").click()
    assert "own opinion" in tab.locator("details").inner_text()


def test_a_link_carries_text_and_question_and_the_server_never_sees_it(open_page):
    tab = open_page()
    ask(tab)
    link = tab.locator("#link").get_attribute("href")
    assert link.startswith("#")
    other = open_page(fragment=link)
    other.locator("#result").wait_for(state="visible")
    assert other.locator("#context").input_value() == CONTEXT
    assert other.locator("#question").input_value() == QUESTION
    assert quote("Amazon") in link


def test_text_from_right_to_left_is_shown_so(open_page):
    tab = open_page()
    ask(tab, text="بنى رجنا لوند المنارة في سنة 1871.", question="من بنى المنارة؟")
    for name in ("#context", "#question", "#text"):
        assert tab.locator(name).evaluate("e => e.matches(':dir(rtl)')"), name


# --- what goes wrong ---


def test_what_is_missing_is_said_and_focused(open_page):
    tab = open_page()
    tab.locator("#ask").click()
    assert tab.locator("#status").inner_text() == "Paste a text first, or press Example."
    assert tab.evaluate("document.activeElement.id") == "context"
    tab.locator("#context").fill(CONTEXT)
    tab.locator("#ask").click()
    assert tab.locator("#status").inner_text() == "Type a question first."


@pytest.mark.parametrize(
    ("status", "said"),
    [(413, "more text than"), (408, "took too long"), (503, "Try again in a moment"), (500, "failed on this text")],
)
def test_errors_are_in_plain_words(status, said, open_page):
    tab = open_page()
    tab.route("**/answer", lambda route: route.fulfill(status=status, json={"detail": "body.AskMany.inputs: Field"}))
    tab.locator("#example").click()
    tab.locator("#ask").click()
    sync_api.expect(tab.locator("#status")).to_contain_text(said)
    assert "body." not in tab.locator("#status").inner_text()


def test_a_service_that_is_gone_is_said(open_page):
    tab = open_page()
    tab.route("**/answer", lambda route: route.abort())
    tab.locator("#example").click()
    tab.locator("#ask").click()
    sync_api.expect(tab.locator("#status")).to_have_text("The service does not answer. Is it still running?")
    sync_api.expect(tab.locator("#ask")).to_have_text("Ask")


def test_a_question_that_runs_can_be_stopped(open_page):
    tab = open_page()
    waiting = []
    tab.route("**/answer", lambda *given: waiting.extend(given))  # which nobody answers
    tab.locator("#example").click()
    tab.locator("#ask").click()
    sync_api.expect(tab.locator("#status")).to_have_text("Reading …")
    assert tab.locator("#form").get_attribute("aria-busy") == "true"
    tab.locator("#ask").click()
    sync_api.expect(tab.locator("#status")).to_have_text("Stopped.")


# --- for all ---


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_no_serious_violation(viewport, scheme, open_page):
    """Contrast of 4.5:1 is among its rules; before and after an answer."""
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    tab = open_page(viewport=viewport, scheme=scheme)
    for prepare in (lambda _: None, ask):
        prepare(tab)
        tab.evaluate(axe)
        found = tab.evaluate("axe.run()")["violations"]
        serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in {"serious", "critical"}]
        assert serious == []
