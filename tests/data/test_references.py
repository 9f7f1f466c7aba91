"""What references are for decides what they need: places to train on, texts to score against."""

import unicodedata

import pytest

from qa.errors import ExampleError
from tests.support.rows import CONTEXT, LUND, METRES, TALL, WHO, answers, loaded, references, row, told
from tests.support.squad_rows import TWICE, flat, only_problem

ANYWHERE = [
    ("Ragna Lund", 48),
    ("Ragna Lund", 3),  # not there
    ("Ragna Lund", None),
    ("Ragna Lund", -1),
    ("Ragna Lund", 10**9),
    ("Ragna Lund", "x"),
    ("the builder", 0),  # nowhere
]


def rows_of(*pairs):
    return [row(0, context=CONTEXT, question=WHO, answers=answers(*pairs))]


def test_for_scores_every_text_counts_wherever_it_stands(tmp_path):
    """The development set of CMRC 2018 lost 176 examples to one reference each."""
    examples = loaded(tmp_path, rows_of(*ANYWHERE), purpose="texts")
    assert references(examples) == {"q0": [LUND, *[(text, -1) for text, _ in ANYWHERE[1:]]]}
    assert {problem.action for problem in examples.problems} == {"kept"}
    assert [problem.kind for problem in examples.problems] == [
        "answer not at its offset",
        "answer outside the context",
        "answer_start of wrong type",
        "answer not at its offset",
    ]


def test_a_reference_without_any_place_is_no_problem_for_scores(tmp_path):
    for start in (None, -1):
        examples = loaded(tmp_path, rows_of(("the builder", start)), purpose="texts")
        assert references(examples) == {"q0": [("the builder", -1)]}
        assert examples.problems == ()


def test_a_reference_with_a_place_comes_first(tmp_path):
    examples = loaded(tmp_path, rows_of(("the builder", 0), LUND), purpose="texts")
    assert references(examples) == {"q0": [LUND, ("the builder", -1)]}


def test_to_train_on_one_place_is_enough_where_repair_is_wanted(tmp_path):
    examples = loaded(tmp_path, rows_of(("the builder", 0), LUND), "repair")
    assert references(examples) == {"q0": [LUND, ("the builder", -1)]}
    assert told(examples) == [("answer not at its offset", "kept")]
    with pytest.raises(ExampleError, match="answer not at its offset"):
        loaded(tmp_path, rows_of(("the builder", 0), LUND))


def test_repair_places_for_scores_too_what_it_can(tmp_path):
    examples = loaded(tmp_path, rows_of(("ragna lund", None), ("the builder", None)), "repair", purpose="texts")
    assert references(examples) == {"q0": [LUND, ("the builder", -1)]}


def test_what_makes_a_row_unusable_is_named_for_scores_too(tmp_path):
    for bad in ([("", 0)], [(3, 0)]):
        with pytest.raises(ExampleError, match="answer text"):
            loaded(tmp_path, rows_of(*bad), purpose="texts")
    with pytest.raises(ExampleError, match="is_impossible contradicts"):
        loaded(tmp_path, [rows_of(LUND)[0] | {"is_impossible": True}], purpose="texts")


def test_without_use_for_references_nothing_about_them_is_wrong(tmp_path):
    bad = [
        rows_of(("", 0))[0],
        row(1, answers="{'tex"),
        row(2, answers=[3.5], is_impossible="maybe"),
        row(3, answers=None),
        {key: value for key, value in row(4).items() if key != "answers"},
    ]
    examples = loaded(tmp_path, bad, purpose="nothing")
    assert examples.rows["id"][:] == ["q0", "q1", "q2", "q3", "q4"]
    assert (examples.problems, examples.notes, examples.has_references) == ((), (), False)
    with pytest.raises(ExampleError, match="1 bad examples"):
        loaded(tmp_path, [*bad, row(5, question="")], purpose="nothing")


def test_a_span_with_both_ends_and_another_spelling_is_its_characters(tmp_path):
    answer = [{"text": "ragna-LUND", "start": 48, "end": 58}]
    examples = loaded(tmp_path, [row(0, context=CONTEXT, answers=answer)])
    assert references(examples) == {"q0": [LUND, ("ragna-LUND", -1)]}
    assert told(examples) == [("answer spelled otherwise than in the context", "kept")]
    with pytest.raises(ExampleError, match="answer not at its offset"):
        loaded(tmp_path, [row(0, context=CONTEXT, answers=[{"text": "Ada", "start": 48, "end": 58}])])


@pytest.mark.parametrize(("written", "other"), [("दिन", "दान"), ("ปี", "ปู"), ("cafe\u0301", "cafe\u0300")])
def test_a_span_with_both_ends_and_other_marks_is_another_word(tmp_path, written, other):
    """Vowel signs of Hindi and Thai are no letters to `str.isalnum`."""
    answer = [{"text": other, "start": 2, "end": 2 + len(written)}]
    with pytest.raises(ExampleError, match="answer not at its offset"):
        loaded(tmp_path, [row(0, context=f"x {written} y", answers=answer)])


@pytest.mark.parametrize("text", ["Café", "Việt Nam", "각시", "क़लम"])
def test_a_span_with_both_ends_and_another_unicode_form_is_its_characters(tmp_path, text):
    written, other = (unicodedata.normalize(form, text) for form in ("NFD", "NFC"))
    answer = [{"text": other, "start": 2, "end": 2 + len(written)}]
    examples = loaded(tmp_path, [row(0, context=f"x {written} y", answers=answer)])
    assert references(examples)["q0"][0] == (written, 2)


@pytest.mark.parametrize(("written", "other"), [("שִׁיר", "שיר"), ("مُحَمَّد", "محمد")])
def test_a_span_with_both_ends_may_lack_the_points_of_its_characters(tmp_path, written, other):
    answer = [{"text": other, "start": 2, "end": 2 + len(written)}]
    examples = loaded(tmp_path, [row(0, context=f"x {written} y", answers=answer)])
    assert references(examples)["q0"] == [(written, 2), (other, -1)]


def test_a_span_without_a_text_is_its_characters(tmp_path):
    rows = [row(0, context=CONTEXT, question=TALL, answers=[{"start": 66.0, "end": 75.0}])]
    assert references(loaded(tmp_path, rows)) == {"q0": [METRES]}
    measured = [row(0, context=CONTEXT, question=TALL, answers=[{"offset": 66, "length": 9}])]
    assert references(loaded(tmp_path, measured)) == {"q0": [METRES]}
    with pytest.raises(ExampleError, match="answer text blank"):
        loaded(tmp_path, [row(0, context=CONTEXT, answers=[{"start": -1, "end": 5}])])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"start": 60, "end": 5000}, "answer outside the context"),
        ({"start": 75, "end": 66}, "answer outside the context"),
        ([60, 5000, "A"], "answer outside the context"),
        ({"offset": 66, "length": 5000}, "answer outside the context"),
        ({"text": None, "answer_start": 5000}, "answer outside the context"),
        ({"text": None, "answer_start": 48}, "answer without a text"),
        ({"start": 66, "end": None}, "answer without a text"),
    ],
)
def test_an_answer_whose_place_is_told_is_never_read_as_none(tmp_path, answer, kind):
    rows = [row(0, context=CONTEXT, answers=[answer]), row(1)]
    with pytest.raises(ExampleError, match=kind):
        loaded(tmp_path, rows)
    for policy in ("skip", "repair"):
        examples = loaded(tmp_path, rows, policy)
        assert list(references(examples)) == ["q1"]
        assert told(examples) == [(kind, "skipped")]


def test_an_answer_without_a_text_beside_others_is_left_out(tmp_path):
    bad = {"text": None, "answer_start": 3}
    examples = loaded(tmp_path, [row(0, context=CONTEXT, answers=[bad, {"start": 48, "end": 58}])], "repair")
    assert references(examples) == {"q0": [LUND]}
    assert only_problem(examples).done == "left out"


def test_messages_say_how_many_places_there_are_and_show_some(tmp_path):
    rows = [row(0, context="a " * 50, text="a", start=-1), row(1)]
    (problem,) = loaded(tmp_path, rows, "repair").problems
    assert problem.found == "'a' at -1, in 50 places: 0, 2, 4, 6, 8, …"
    rows = [row(0, context="x", text="a", start=None), row(1)]
    (problem,) = loaded(tmp_path, rows, "repair").problems
    assert problem.found == "'a', which the context does not hold"


def test_a_spreadsheets_answers_are_placed_and_its_rows_get_ids(tmp_path):
    content = f'question,context,answer\n{WHO},"{CONTEXT}",Ragna Lund\n{TALL},"{CONTEXT}",34 metres\n'
    examples = loaded(tmp_path, content, "repair")
    assert list(references(examples).values()) == [[LUND], [METRES]]
    assert [problem.done for problem in examples.problems] == [
        "placed at character 48, 1 of 1 places",
        "placed at character 66, 1 of 1 places",
    ]
    with pytest.raises(ExampleError, match="answer without a place: found 'Ragna Lund'; wanted answer_start"):
        loaded(tmp_path, content)


@pytest.mark.parametrize("start", [-1, -1.0, -7, None, float("nan")])
def test_minus_one_is_no_place_and_an_answer_in_two_is_listed_for_a_decision(tmp_path, start):
    rows = [flat("1", WHO, {"text": ["Ragna Lund"], "answer_start": [start]}, TWICE), flat("2", WHO, [])]
    examples = loaded(tmp_path, rows, "repair")
    assert list(references(examples)) == ["2"]
    problem = only_problem(examples)
    assert problem.action == "skipped"
    assert "in 2 places: 0, 27" in problem.found
    assert problem.wanted == "answer_start, to decide between them"


def test_a_stated_start_chooses_among_places_and_the_record_says_of_how_many(tmp_path):
    rows = [flat("1", WHO, {"text": ["Ragna Lund"], "answer_start": [25]}, TWICE)]
    examples = loaded(tmp_path, rows, "repair")
    assert references(examples) == {"1": [("Ragna Lund", 27)]}
    assert only_problem(examples).done == "placed at character 27, 2 of 2 places"


def test_a_whole_float_is_a_place(tmp_path):
    rows = [flat("1", WHO, {"text": ["Ragna Lund"], "answer_start": [27.0]}, TWICE)]
    for policy in ("error", "repair"):
        examples = loaded(tmp_path, rows, policy)
        assert references(examples) == {"1": [("Ragna Lund", 27)]}
        assert examples.problems == ()


@pytest.mark.parametrize(
    ("text", "start", "wanted"),
    [
        ("Procedure Insert the metal plate", -1, ("Procedure\nInsert the metal plate", 0)),
        ("ragna lund", 56, ("Ragna Lund", 56)),
        ("RAGNA  LUND", 0, ("Ragna Lund", 56)),
        (" Ragna Lund ", 55, ("Ragna Lund", 56)),
        ("wall.Call", -1, ("wall. Call", 45)),
    ],
)
def test_an_answer_that_differs_in_case_or_white_space_becomes_the_contexts(tmp_path, text, start, wanted):
    context = "Procedure\nInsert the metal plate\nbehind the  wall. Call Ragna Lund."
    assert context[wanted[1] :].startswith(wanted[0])
    rows = [flat("1", WHO, {"text": [text], "answer_start": [start]}, context)]
    assert references(loaded(tmp_path, rows, "repair")) == {"1": [wanted]}
    with pytest.raises(ExampleError):
        loaded(tmp_path, rows)


def test_a_blank_after_the_contexts_end_is_stripped(tmp_path):
    context = CONTEXT[: CONTEXT.index(".")]
    rows = [flat("1", WHO, {"text": ["Ragna Lund "], "answer_start": [48]}, context)]
    assert references(loaded(tmp_path, rows, "repair")) == {"1": [LUND]}


@pytest.mark.parametrize(
    "sentinel",
    [
        [{"text": "", "answer_start": 0, "answer_end": 0, "answer_category": "NOT_GIVEN"}],
        [{"text": "", "answer_start": 2280, "answer_category": None}],
        [{"text": "", "answer_start": -1}],
        [{"text": "NOT_GIVEN", "answer_start": 0}],
        [{"text": None, "answer_start": None}],
        {"text": [""], "answer_start": [0]},
        {"text": [None], "answer_start": [-1]},
        [None],
        "",
        None,
    ],
)
@pytest.mark.parametrize("flag", [{}, {"is_impossible": False}])
def test_an_answer_that_stands_for_none_means_impossible_where_repair_is_wanted(tmp_path, sentinel, flag):
    rows = [flat("a1", WHO, [{"text": LUND[0], "answer_start": 48}]), flat(2, "Who painted it?", sentinel, **flag)]
    examples = loaded(tmp_path, rows, "repair")
    assert references(examples) == {"a1": [LUND], "2": []}
    assert only_problem(examples).action == "repaired"
    assert "impossible" in only_problem(examples).done
    with pytest.raises(ExampleError, match="1 bad examples"):
        loaded(tmp_path, rows)


def test_a_blank_answer_beside_others_is_left_out(tmp_path):
    rows = [flat("1", WHO, {"text": ["", "Ragna Lund"], "answer_start": [0, 48]})]
    examples = loaded(tmp_path, rows, "repair")
    assert references(examples) == {"1": [LUND]}
    assert only_problem(examples).done == "left out: it stands for no answer"


def test_a_word_for_none_that_the_context_holds_is_an_answer(tmp_path):
    rows = [flat("1", WHO, {"text": ["None"], "answer_start": [0]}, "None was built.")]
    assert references(loaded(tmp_path, rows)) == {"1": [("None", 0)]}


def test_without_an_offset_no_part_of_a_word_is_an_answer(tmp_path):
    rows = [row(0, context="The party showed art.", text="art", start=None), row(1)]
    assert references(loaded(tmp_path, rows, "repair"))["q0"] == [("art", 17)]
    rows = [row(0, context="The party.", text="art", start=None), row(1)]
    problem = only_problem(loaded(tmp_path, rows, "repair"))
    assert problem.action == "skipped"
    assert problem.found == "'art', which the context does not hold but inside words"
    rows = [row(0, context="The party.", text="art", start=6)]
    assert references(loaded(tmp_path, rows, "repair")) == {"q0": [("art", 5)]}
    rows = [flat("1", WHO, ["None"], "Nonetheless it stood."), row(1)]
    assert references(loaded(tmp_path, rows, "repair"))["1"] == []


def test_repair_says_in_what_an_offset_counts(tmp_path):
    rows = [row(0, context="Пётр и Иван. Иван и Иван.", text="Иван", start=12)]
    examples = loaded(tmp_path, rows, "repair")
    assert references(examples) == {"q0": [("Иван", 7)]}
    done = "placed at character 7, 1 of 3 places: its offset counts UTF-8 bytes"
    assert only_problem(examples).done == done


def test_a_place_written_as_a_float_is_read(tmp_path):
    rows = [row(start="16.0", text="cat")]
    examples = loaded(tmp_path, rows, "repair")
    assert references(examples) == {"q0": [("cat", 16)]}
    assert only_problem(examples).done == "read as 16"


@pytest.mark.parametrize(("context", "text"), [("x Việt Nam y", "Việt Nam"), ("x RAGNA  Lund y", "Ragna Lund")])
def test_a_text_that_differs_from_its_place_in_spelling_only_is_told_so(tmp_path, context, text):
    """A terminal shows both Unicode forms alike."""
    context, text = unicodedata.normalize("NFC", context), unicodedata.normalize("NFD", text)
    with pytest.raises(ExampleError, match="the same but for case, white space or Unicode form; wanted"):
        loaded(tmp_path, [row(0, context=context, text=text, start=2)])
