"""What makes a row an example, what becomes of the others, and what can be done with examples."""

import json
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qa.config import DataConfig
from qa.data.examples import Examples, drop_impossible, load_examples, take
from qa.data.problems import DataProblem
from qa.errors import DataError, ExampleError
from qa.run_folder.records import write_problems
from tests.support.rows import answers, loaded, row

in_one_folder = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def without(key):
    return {name: value for name, value in row().items() if name != key}


def load(tmp_path, rows, on_bad_example="error"):
    return loaded(tmp_path, rows, on_bad_example)


# Good examples


def test_columns_and_types_are_those_of_squad(tmp_path):
    examples = load(tmp_path, [{key: row()[key] for key in ("answers", "question", "context", "id")} | {"extra": 1}])
    assert examples.rows.column_names == ["id", "title", "context", "question", "answers"]
    assert examples.rows[0] == row(title="")
    text, start = examples.rows.features["answers"]["text"], examples.rows.features["answers"]["answer_start"]
    assert (text.feature.dtype, start.feature.dtype) == ("string", "int32")
    assert (len(examples), examples.problems, examples.has_references) == (1, (), True)


def test_integer_ids_become_strings(tmp_path):
    assert load(tmp_path, [row(id=7), row(id=-1)]).rows["id"][:] == ["7", "-1"]


def test_both_layouts_of_answers_are_the_same(tmp_path):
    as_objects = [{"text": "cat", "answer_start": 4}, {"text": "the cat", "answer_start": 12}]
    first = load(tmp_path, [row(answers=as_objects)])
    second = load(tmp_path, [row(answers=answers(("cat", 4), ("the cat", 12)))])
    assert first.rows[0] == second.rows[0]
    assert first.fingerprint == second.fingerprint


def test_without_any_answers_there_are_no_references(tmp_path):
    for rows in ([without("answers")], [row(answers=None)]):
        examples = load(tmp_path, rows)
        assert (examples.has_references, examples.has_impossible, examples.problems) == (False, False, ())
        assert "answers" not in examples.rows.column_names
        assert len(examples.fingerprint) == 64
        with pytest.raises(DataError, match="no references"):
            drop_impossible(examples)


@pytest.mark.parametrize("empty", [[], answers()])
def test_an_example_without_an_answer_is_impossible_and_can_be_dropped(tmp_path, empty):
    examples = load(tmp_path, [row(0), row(1, answers=empty), row(2)])
    assert examples.has_impossible
    answered = drop_impossible(examples)
    assert not answered.has_impossible
    assert answered.rows["id"][:] == ["q0", "q2"]
    with pytest.raises(DataError, match="none of the 1 examples has an answer"):
        drop_impossible(load(tmp_path, [row(answers=empty)]))


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
    assert load(tmp_path, [good]).rows[0] == good


@pytest.mark.parametrize(
    ("source", "split", "least"),
    [
        ("sample", "train", 1700),
        ("sample", "validation", 230),
        ("sample:zh", "validation", 100),
        ("sample:ar", "validation", 60),
    ],
)
def test_an_embedded_set_has_no_problem(source, split, least):
    examples = load_examples(source, split=split, config=DataConfig())
    assert examples.problems == ()
    assert len(examples) >= least
    assert len(set(examples.rows["question"][:])) == len(examples)
    assert 0.7 * len(examples) < len(drop_impossible(examples)) < 0.9 * len(examples)


# Bad examples

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
        load(tmp_path, rows)
    message = str(caught.value)
    assert "rows.json: 1 bad examples:\n  row 1, id " in message
    assert f": {name.strip()}: found " in message
    assert "on-bad-example may be skip or repair" in message
    message.encode()  # can be printed
    for policy in ("skip", "repair"):
        examples = load(tmp_path, rows, policy)
        assert examples.rows["id"][:] == ["q9"]
        assert [(p.row, p.kind, p.action) for p in examples.problems] == [(1, name.strip(), "skipped")]


@pytest.mark.parametrize("name", REPAIRABLE)
def test_repair_moves_an_answer_to_its_nearest_occurrence(tmp_path, name):
    bad, text, start = REPAIRABLE[name]
    examples = load(tmp_path, [bad], "repair")
    assert examples.rows[0]["answers"] == answers((text, start))
    assert [(p.row, p.id, p.kind, p.action) for p in examples.problems] == [(0, "q0", name.strip(), "repaired")]
    with pytest.raises(ExampleError, match="no good example is left"):
        load(tmp_path, [bad], "skip")


def test_repair_moves_only_what_is_wrong(tmp_path):
    examples = load(tmp_path, [row(answers=answers(("cat", 16), ("sat", 0), ("the", 0)))], "repair")
    assert examples.rows[0]["answers"] == answers(("cat", 16), ("sat", 20), ("the", 0))
    assert len(examples.problems) == 1


def test_an_answer_that_cannot_be_placed_costs_the_row_only_where_no_other_can(tmp_path):
    rows = [row(0, answers=answers(("dog", 0), ("sat", 0))), row(1, answers=answers(("dog", 0))), row(2)]
    examples = load(tmp_path, rows, "repair")
    assert examples.rows["id"][:] == ["q0", "q2"]
    assert examples.rows[0]["answers"] == answers(("sat", 20), ("dog", -1))
    assert [(problem.row, problem.action) for problem in examples.problems] == [
        (0, "kept"),
        (0, "repaired"),
        (1, "skipped"),
    ]


def test_the_message_says_row_id_found_and_wanted(tmp_path):
    with pytest.raises(ExampleError) as caught:
        load(tmp_path, [row(0), row(1, start=5)])
    assert "row 1, id 'q1': answer not at its offset: found 'at '; wanted 'cat' at character 5" in str(caught.value)


def test_the_first_ten_problems_are_shown_with_the_total(tmp_path):
    with pytest.raises(ExampleError) as caught:
        load(tmp_path, [row(number, question="") for number in range(25)])
    message = str(caught.value)
    assert "25 bad examples, the first 10:" in message
    assert [f"row {number}, " in message for number in (0, 9, 10)] == [True, True, False]


def test_what_is_found_is_shown_in_short(tmp_path):
    with pytest.raises(ExampleError) as caught:
        load(tmp_path, [row(0, title=["x" * 10_000] * 10_000), row(1, title={"a": 10**4000})])
    assert len(str(caught.value)) < 2000


def test_an_id_is_free_again_when_its_row_was_skipped(tmp_path):
    examples = load(tmp_path, [row(0, text="dog"), row(0), row(0)], "skip")
    assert examples.rows["id"][:] == ["q0"]
    assert [(p.row, p.kind, p.found) for p in examples.problems] == [
        (0, "answer not at its offset", "'cat'"),
        (2, "duplicate id", "the id of row 1"),
    ]


def test_problems_are_in_the_order_of_rows_over_chunk_borders(tmp_path):
    rows = [row(number) for number in range(2500)]
    rows[7]["answers"] = rows[1007]["answers"] = None
    rows[1003]["context"] = rows[2003]["context"] = ""
    examples = load(tmp_path, rows, "skip")
    assert [problem.row for problem in examples.problems] == [7, 1003, 1007, 2003]
    assert len(examples) == 2496
    assert examples.has_references
    assert examples.rows[7]["id"] == "q8"


def test_answers_that_first_come_late_still_make_references(tmp_path):
    rows = [row(number, answers=None) for number in range(1500)] + [row(1500)]
    assert load(tmp_path, rows, "skip").rows["id"][:] == ["q1500"]


def test_ids_that_first_come_late_are_still_wanted_of_all(tmp_path):
    rows = [without("id") for _ in range(1500)] + [row(1500)]
    examples = load(tmp_path, rows, "skip")
    assert examples.rows["id"][:] == ["q1500"]
    assert len(examples.problems) == 1500


def test_answers_that_are_all_bad_do_not_turn_into_no_references(tmp_path):
    with pytest.raises(ExampleError, match="no good example is left"):
        load(tmp_path, [row(0, text="dog"), without("answers") | {"id": "q1"}], "skip")


@pytest.mark.parametrize("column", ["context", "question"])
def test_a_column_that_no_row_has_is_named(tmp_path, column):
    for rows in ([without(column)] * 2, [row(**{column: None})] * 2):
        with pytest.raises(DataError, match=rf"no column {column}; found \[.*\]; wanted id, context, question"):
            load(tmp_path, rows, "skip")


def test_no_rows_is_an_error(tmp_path):
    for document in ([], {"data": []}, {"data": [{"title": "t", "paragraphs": []}]}):
        with pytest.raises(DataError, match="no rows"):
            load(tmp_path, document)


# Properties

characters = st.text(
    alphabet=st.characters(codec="utf-8") | st.sampled_from("\0\r\n \u200b\u200d\u0301\u05d0😀é"), max_size=12
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 30) | st.floats(allow_nan=False) | characters,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(characters, inner, max_size=2),
    max_leaves=4,
)
json_text = st.text(alphabet=st.characters(categories=["L", "Cs", "Cc", "Zs", "So"]), max_size=8)


@st.composite
def valid_rows(draw, offsets_are_right=True):
    rows = []
    for number in range(draw(st.integers(1, 4))):
        context = draw(characters.filter(str.strip))
        pairs = []
        for _ in range(draw(st.integers(0, 3))):
            start = draw(st.integers(0, len(context) - 1))
            text = context[start : draw(st.integers(start + 1, len(context)))]
            if text.strip():
                pairs.append((text, start if offsets_are_right else draw(st.integers(0, 30))))
        rows.append(row(number, context=context, question=draw(characters.filter(str.strip)), answers=answers(*pairs)))
    return rows


@in_one_folder
@given(rows=valid_rows())
def test_what_is_valid_comes_out_as_it_went_in_under_every_policy(tmp_path, rows):
    for policy in ("error", "skip", "repair"):
        examples = load(tmp_path, rows, policy)
        assert examples.rows.to_list() == rows
        assert examples.problems == ()


def is_mark(character):
    return unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff"


def meant_by_a_browser(context, stated):
    """The character that begins after so many UTF-16 units."""
    units = 0
    for at, character in enumerate(context):
        if units == stated:
            return at
        units += 2 if character > "\uffff" else 1
    return None


@in_one_folder
@given(rows=valid_rows(offsets_are_right=False))
def test_repair_finds_the_nearest_of_all_occurrences(tmp_path, rows):
    repaired = load(tmp_path, rows, "repair").rows.to_list()
    assert len(repaired) == len(rows)
    for raw, fixed in zip(rows, repaired, strict=True):
        context = fixed["context"]
        starts = zip(*raw["answers"].values(), fixed["answers"]["answer_start"], strict=True)
        for text, stated, start in starts:
            places = [place for place in range(len(context)) if context[place : place + len(text)] == text]
            whole = [at for at in places if not any(map(is_mark, context[at + len(text) :][:1]))] or places
            browsers = meant_by_a_browser(context, stated) if max(context) > "\uffff" else None
            nearest = min(whole, key=lambda place: abs(place - stated))
            assert start == (stated if stated in places else browsers if browsers in whole else nearest)


@in_one_folder
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"context": json_text | anything},
            optional={
                "id": st.integers(0, 2) | json_text,
                "title": anything,
                "question": json_text | anything,
                "answers": anything
                | st.lists(st.fixed_dictionaries({"text": json_text, "answer_start": anything}), max_size=2)
                | st.fixed_dictionaries({"text": st.lists(json_text), "answer_start": st.lists(st.integers())}),
            },
        )
        | anything,
        max_size=6,
    ),
    policy=st.sampled_from(["error", "skip", "repair"]),
)
@example(rows=[row(context="\ud800")], policy="repair")
@example(rows=[{"\ud800": 1}], policy="error")
def test_any_rows_give_valid_examples_or_a_named_error(tmp_path, rows, policy):
    try:
        examples = load(tmp_path, rows, policy)
    except DataError as error:
        message = str(error)
        assert "rows.json" in message
        message.encode()
        return
    assert len(examples) == len(set(examples.rows["id"]))
    for raw in examples.rows.to_list():
        assert all(raw[name].strip() for name in ("id", "context", "question"))
        references = list(zip(*raw.get("answers", answers()).values(), strict=True))
        assert not references or references[0][1] >= 0
        for text, start in references:
            assert text.strip()
            assert start == -1 or raw["context"][start : start + len(text)] == text


# What can be done with examples


@pytest.mark.parametrize(("total", "maximum"), [(10, 3), (10, 9), (7, 1), (2000, 1999)])
def test_take_spreads_evenly_over_the_set(tmp_path, total, maximum):
    examples = load(tmp_path, [row(number) for number in range(total)])
    expected = [f"q{index * total // maximum}" for index in range(maximum)]
    taken = take(examples, maximum)
    assert taken.rows["id"][:] == expected
    assert len(set(expected)) == maximum
    assert taken.fingerprint == take(examples, maximum).fingerprint
    assert taken.fingerprint != examples.fingerprint


def test_take_without_a_limit_below_the_size_changes_nothing(tmp_path):
    examples = load(tmp_path, [row(0), row(1)])
    assert [take(examples, maximum) for maximum in (None, 2, 3)] == [examples] * 3


def test_take_and_drop_impossible_follow_each_other_and_keep_the_problems(tmp_path):
    rows = [row(number, answers=answers(("cat", 4)) if number % 2 else []) for number in range(20)]
    examples = load(tmp_path, [*rows, row(0)], "skip")
    taken = take(drop_impossible(examples), 5)
    assert taken.rows["id"][:] == ["q1", "q5", "q9", "q13", "q17"]
    assert taken.problems == examples.problems
    assert not taken.has_impossible


def test_problems_are_written_one_a_line(tmp_path):
    problem = DataProblem(row=3, id="é\ud800", kind="k", found="f\n", wanted="w", action="repaired")
    write_problems({"train": [problem], "validation": [problem]}, tmp_path / "p.jsonl")
    lines = (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()
    wanted = {"row": 3, "id": "é\ud800", "kind": "k", "found": "f\n", "wanted": "w", "action": "repaired", "done": ""}
    assert [json.loads(line) for line in lines] == [{"split": split} | wanted for split in ("train", "validation")]
    write_problems({}, tmp_path / "p.jsonl")
    assert (tmp_path / "p.jsonl").read_bytes() == b""
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]


# The fingerprint


def test_the_fingerprint_is_of_the_content_only(tmp_path):
    rows = [row(number) for number in range(1200)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=7)
    from_parquet = load_examples(str(tmp_path / "rows.parquet"), split="train", config=DataConfig())
    questions = [{key: r[key] for key in ("id", "question")} for r in rows]
    qas = [q | {"answers": [{"answer_start": 4, "text": "cat"}]} for q in questions]
    nested = {"data": [{"title": "other", "paragraphs": [{"context": rows[0]["context"], "qas": qas}]}]}
    assert from_parquet.fingerprint == load(tmp_path, nested).fingerprint == load(tmp_path, rows).fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        [row(1), row(0)],
        [row(0)],
        [row(0), row(2)],
        [row(0), row(1, question="Whom?")],
        [row(0), row(1, context="the cat and the cat sat.")],
        [row(0), row(1, start=16)],
        [row(0), row(1, answers=[])],
        [row(0, answers=None), row(1, answers=None)],
    ],
)
def test_the_fingerprint_sees_every_change(tmp_path, changed):
    assert load(tmp_path, changed).fingerprint != load(tmp_path, [row(0), row(1)]).fingerprint


def test_examples_are_a_value(tmp_path):
    examples = load(tmp_path, [row()])
    with pytest.raises(AttributeError):
        examples.problems = ()
    assert isinstance(examples, Examples)
