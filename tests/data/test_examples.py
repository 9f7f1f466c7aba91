"""What makes a row an example, what becomes of the others, and what can be done with examples."""

import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qa.config import DataConfig
from qa.data.examples import Examples, drop_impossible, load_examples, take
from qa.errors import DataError
from tests.support.rows import answers, loaded, row, without

in_one_folder = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# Good examples


def test_columns_and_types_are_those_of_squad(tmp_path):
    examples = loaded(tmp_path, [{key: row()[key] for key in ("answers", "question", "context", "id")} | {"extra": 1}])
    assert examples.rows.column_names == ["id", "title", "context", "question", "answers"]
    assert examples.rows[0] == row(title="")
    text, start = examples.rows.features["answers"]["text"], examples.rows.features["answers"]["answer_start"]
    assert (text.feature.dtype, start.feature.dtype) == ("string", "int32")
    assert (len(examples), examples.problems, examples.has_references) == (1, (), True)


def test_both_layouts_of_answers_are_the_same(tmp_path):
    as_objects = [{"text": "cat", "answer_start": 4}, {"text": "the cat", "answer_start": 12}]
    first = loaded(tmp_path, [row(answers=as_objects)])
    second = loaded(tmp_path, [row(answers=answers(("cat", 4), ("the cat", 12)))])
    assert first.rows[0] == second.rows[0]
    assert first.fingerprint == second.fingerprint


def test_without_any_answers_there_are_no_references(tmp_path):
    for rows in ([without("answers")], [row(answers=None)]):
        examples = loaded(tmp_path, rows)
        assert (examples.has_references, examples.has_impossible, examples.problems) == (False, False, ())
        assert "answers" not in examples.rows.column_names
        assert len(examples.fingerprint) == 64
        with pytest.raises(DataError, match="no references"):
            drop_impossible(examples)


@pytest.mark.parametrize("empty", [[], answers()])
def test_an_example_without_an_answer_is_impossible_and_can_be_dropped(tmp_path, empty):
    examples = loaded(tmp_path, [row(0), row(1, answers=empty), row(2)])
    assert examples.has_impossible
    answered = drop_impossible(examples)
    assert not answered.has_impossible
    assert answered.rows["id"][:] == ["q0", "q2"]
    with pytest.raises(DataError, match="none of the 1 examples has an answer"):
        drop_impossible(loaded(tmp_path, [row(answers=empty)]))


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
        examples = loaded(tmp_path, rows, policy)
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
    repaired = loaded(tmp_path, rows, "repair").rows.to_list()
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
        examples = loaded(tmp_path, rows, policy)
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
    examples = loaded(tmp_path, [row(number) for number in range(total)])
    expected = [f"q{index * total // maximum}" for index in range(maximum)]
    taken = take(examples, maximum)
    assert taken.rows["id"][:] == expected
    assert len(set(expected)) == maximum
    assert taken.fingerprint == take(examples, maximum).fingerprint
    assert taken.fingerprint != examples.fingerprint


def test_take_without_a_limit_below_the_size_changes_nothing(tmp_path):
    examples = loaded(tmp_path, [row(0), row(1)])
    assert [take(examples, maximum) for maximum in (None, 2, 3)] == [examples] * 3


def test_take_and_drop_impossible_follow_each_other_and_keep_the_problems(tmp_path):
    rows = [row(number, answers=answers(("cat", 4)) if number % 2 else []) for number in range(20)]
    examples = loaded(tmp_path, [*rows, row(0)], "skip")
    taken = take(drop_impossible(examples), 5)
    assert taken.rows["id"][:] == ["q1", "q5", "q9", "q13", "q17"]
    assert taken.problems == examples.problems
    assert not taken.has_impossible


# The fingerprint


def test_the_fingerprint_is_of_the_content_only(tmp_path):
    rows = [row(number) for number in range(1200)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=7)
    from_parquet = load_examples(str(tmp_path / "rows.parquet"), split="train", config=DataConfig())
    questions = [{key: r[key] for key in ("id", "question")} for r in rows]
    qas = [q | {"answers": [{"answer_start": 4, "text": "cat"}]} for q in questions]
    nested = {"data": [{"title": "other", "paragraphs": [{"context": rows[0]["context"], "qas": qas}]}]}
    assert from_parquet.fingerprint == loaded(tmp_path, nested).fingerprint == loaded(tmp_path, rows).fingerprint


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
    assert loaded(tmp_path, changed).fingerprint != loaded(tmp_path, [row(0), row(1)]).fingerprint


def test_examples_are_a_value(tmp_path):
    examples = loaded(tmp_path, [row()])
    with pytest.raises(AttributeError):
        examples.problems = ()
    assert isinstance(examples, Examples)
