"""A raw row -> an example, or the rule it breaks."""

import pytest

from qa.errors import ExampleError
from tests.support.rows import CONTEXT, LUND, WHO, answers, loaded, references, row, told, without
from tests.support.squad_rows import BOTH, TWO, flat, only_problem, paragraph, qa, squad


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ("a\r\nb\rc\n d", "c"),
        ("\0nul\0 in", "nul\0"),
        ("😀👩‍👩‍👧 family", "👩‍👩‍👧"),
        ("e\u0301te\u0301 combining", "te\u0301"),
        ("\u200bzero\u200d width", "zero\u200d"),
        ("שלום עולם", "עולם"),
        ("x" * 100_000 + "y", "y"),
        ("z", "z"),
    ],
)
def test_odd_text_is_kept_as_it_is_and_offsets_count_code_points(tmp_path, context, text):
    good = row(context=context, text=text, start=context.index(text))
    assert loaded(tmp_path, [good]).rows[0] == good


UNREPAIRABLE = {
    "row of wrong type": "a string",
    "id of wrong type": row(id=1.5),
    "id of wrong type ": row(id=True),
    "id not encodable": row(id="\ud800"),
    "title of wrong type": row(title=["t"]),
    "title not encodable": row(title="\udfff"),
    "context of wrong type": row(context=None),
    "context blank": row(context=""),
    "context blank ": row(context=" \n\u3000"),
    "context not encodable": row(context="a \ud83d b"),
    "question of wrong type": without("question"),
    "question blank": row(question="\t"),
    "question not encodable": row(question="\udc00?"),
    "no answers": without("answers"),
    "answers of wrong type": row(answers="{'text': ['cat'"),
    "answers of wrong type ": row(answers=[3.5]),
    "answers of wrong type  ": row(answers={"yes": 1}),
    "answers of mixed lengths": row(answers={"text": ["cat", "the"], "answer_start": [4]}),
    "answer text of wrong type": row(text=["cat"]),
    "answer text not encodable": row(text="\ud800"),
    "answer_start of wrong type": row(start=True),
    "answer_start of wrong type ": row(start=4.5),
    "answer without a place": row(text="dog", start=-1),
    "answer without a place ": row(start=-3),
    "answer without a place  ": row(answers=["cat"]),
    "answer not at its offset": row(text="dog", start=4),
}


REPAIRABLE = {
    "answer outside the context ": (row(start=10**30), "cat", 16),
    "answer outside the context  ": (row(text="sat", start=21), "sat", 20),
    "answer not at its offset": (row(start=5), "cat", 4),
    "answer not at its offset ": (row(start=11), "cat", 16),
    "answer not at its offset  ": (row(start=10), "cat", 4),
    "answer not at its offset   ": (row(text="CAT", start=16), "cat", 16),
    "answer_start of wrong type": (row(text="sat", start="here"), "sat", 20),
    "answer_start of wrong type ": (row(start="4"), "cat", 4),
    "answer without a place": (row(text="sat", start=None), "sat", 20),
    "answer text of wrong type": (row(context="in 1871 it was", text=1871, start=3), "1871", 3),
}


@pytest.mark.parametrize("name", UNREPAIRABLE)
def test_a_bad_row_stops_or_is_skipped_also_where_repair_is_wanted(tmp_path, name):
    rows = [row(9), UNREPAIRABLE[name]]
    with pytest.raises(ExampleError) as caught:
        loaded(tmp_path, rows)
    message = str(caught.value)
    assert "rows.json: 1 bad examples:\n  row 1, id " in message
    assert f": {name.strip()}: found " in message
    assert "on-bad-example may be skip or repair" in message
    message.encode()  # can be printed
    for policy in ("skip", "repair"):
        examples = loaded(tmp_path, rows, policy)
        assert examples.rows["id"][:] == ["q9"]
        assert [(p.row, p.kind, p.action) for p in examples.problems] == [(1, name.strip(), "skipped")]


@pytest.mark.parametrize("name", REPAIRABLE)
def test_repair_moves_an_answer_to_its_nearest_occurrence(tmp_path, name):
    bad, text, start = REPAIRABLE[name]
    examples = loaded(tmp_path, [bad], "repair")
    assert examples.rows[0]["answers"] == answers((text, start))
    assert [(p.row, p.id, p.kind, p.action) for p in examples.problems] == [(0, "q0", name.strip(), "repaired")]
    with pytest.raises(ExampleError, match="no good example is left"):
        loaded(tmp_path, [bad], "skip")


def test_repair_moves_only_what_is_wrong(tmp_path):
    examples = loaded(tmp_path, [row(answers=answers(("cat", 16), ("sat", 0), ("the", 0)))], "repair")
    assert examples.rows[0]["answers"] == answers(("cat", 16), ("sat", 20), ("the", 0))
    assert len(examples.problems) == 1


def test_an_answer_that_cannot_be_placed_costs_the_row_only_where_no_other_can(tmp_path):
    rows = [row(0, answers=answers(("dog", 0), ("sat", 0))), row(1, answers=answers(("dog", 0))), row(2)]
    examples = loaded(tmp_path, rows, "repair")
    assert examples.rows["id"][:] == ["q0", "q2"]
    assert examples.rows[0]["answers"] == answers(("sat", 20), ("dog", -1))
    assert [(problem.row, problem.action) for problem in examples.problems] == [
        (0, "kept"),
        (0, "repaired"),
        (1, "skipped"),
    ]


def test_a_flag_that_is_text_is_named_and_keeps_the_answers_where_repair_is_wanted(tmp_path):
    """`"False"` is true for Python: both answers were dropped without a word."""
    document = squad(paragraph(TWO[0] | {"is_impossible": "False"}, TWO[1] | {"is_impossible": "false"}))
    with pytest.raises(ExampleError, match="is_impossible of wrong type: found 'False'; wanted true or false"):
        loaded(tmp_path, document)
    examples = loaded(tmp_path, document, "repair")
    assert references(examples) == BOTH
    assert told(examples) == [("is_impossible of wrong type", "repaired")] * 2
    with pytest.raises(ExampleError, match="is_impossible of wrong type"):
        loaded(tmp_path, document, "skip")


@pytest.mark.parametrize("flag", ["True", "1", "yes", "true "])
def test_a_flag_in_other_words_is_understood_where_repair_is_wanted(tmp_path, flag):
    rows = [flat("1", WHO, [], is_impossible=flag), flat("2", WHO, [], is_impossible=True)]
    with pytest.raises(ExampleError, match="1 bad examples"):
        loaded(tmp_path, rows, name="rows.jsonl")
    assert references(loaded(tmp_path, rows, "repair", name="rows.jsonl")) == {"1": [], "2": []}


@pytest.mark.parametrize("flag", ["maybe", 2, [True], 0.5])
def test_a_flag_that_says_nothing_costs_the_row_under_every_policy(tmp_path, flag):
    rows = [flat("1", WHO, [], is_impossible=flag), flat("2", WHO, [], is_impossible=True)]
    for policy in ("skip", "repair"):
        assert told(loaded(tmp_path, rows, policy, name="rows.jsonl")) == [("is_impossible of wrong type", "skipped")]


@pytest.mark.parametrize("shape", ["flat", "nested", "csv"])
def test_a_flag_that_contradicts_the_answers_is_a_bad_row_in_every_shape(tmp_path, shape):
    answers = {"text": ["Ragna Lund"], "answer_start": [48]}
    contents = {
        "flat": [flat("1", WHO, answers, is_impossible=True), flat("2", WHO, answers, is_impossible=False)],
        "nested": squad(paragraph(qa("1", WHO, LUND, is_impossible=True), qa("2", WHO, LUND, is_impossible=False))),
        "csv": "id,question,context,answer,answer_start,is_impossible\n"
        f'1,{WHO},"{CONTEXT}",Ragna Lund,48,True\n2,{WHO},"{CONTEXT}",Ragna Lund,48,False\n',
    }
    for policy, wanted in (("skip", {"2": [LUND]}), ("repair", {"1": [], "2": [LUND]})):
        examples = loaded(tmp_path, contents[shape], policy)
        assert references(examples) == wanted
        assert only_problem(examples).kind == "is_impossible contradicts the answers"
    with pytest.raises(ExampleError, match=r"found True and the answers \['Ragna Lund'\]"):
        loaded(tmp_path, contents[shape])


def test_an_answerable_question_without_answers_is_a_contradiction_too(tmp_path):
    rows = [flat("1", WHO, [], is_impossible=False), flat("2", WHO, [])]
    with pytest.raises(ExampleError, match=r"1 bad examples:\n  row 0, id '1': is_impossible contradicts"):
        loaded(tmp_path, rows)
    assert references(loaded(tmp_path, rows, "repair")) == {"1": [], "2": []}


def test_a_flag_alone_says_that_there_is_no_answer(tmp_path):
    rows = [{"id": "1", "question": WHO, "context": CONTEXT, "is_impossible": True}, flat("2", WHO, [])]
    assert references(loaded(tmp_path, rows)) == {"1": [], "2": []}


def test_a_blank_answer_of_an_impossible_question_is_no_contradiction(tmp_path):
    blank = [{"text": "", "answer_start": -1}]
    assert references(loaded(tmp_path, [flat("1", WHO, blank, is_impossible=True)])) == {"1": []}


@pytest.mark.parametrize(("flag", "wanted"), [(1, []), (0, [LUND]), (1.0, []), (0.0, [LUND])])
def test_a_flag_may_be_one_or_zero(tmp_path, flag, wanted):
    rows = [flat("1", WHO, answers(*wanted), is_impossible=flag)]
    examples = loaded(tmp_path, rows)
    assert references(examples) == {"1": wanted}
    with pytest.raises(ExampleError, match="is_impossible of wrong type"):
        loaded(tmp_path, [flat("1", WHO, [], is_impossible=2)])
