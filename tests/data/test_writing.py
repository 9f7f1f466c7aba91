"""Files that are written are read back as the same examples, and as SQuAD's own readers take them."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qa.data.writing import known_format, write_examples
from qa.errors import UsageError
from tests.support.rows import CONTEXT, LUND, TALL, WHO, answers, load, loaded, references

NAMES = ["a.json", "a.jsonl", "a.ndjson", "a.parquet", "a.json.gz", "a.jsonl.gz", "v1.1.JSON"]
ROWS = [
    {"id": "1", "title": "L", "context": CONTEXT, "question": WHO, "answers": answers(LUND, ("Lund", 54))},
    {"id": "2", "title": "L", "context": CONTEXT, "question": TALL, "answers": answers()},
    {"id": "3", "title": "", "context": 'a "b"\r\n\u2028 灯 👩‍🔬', "question": WHO, "answers": answers(("灯", 9))},
    {"id": "4", "title": "L", "context": CONTEXT, "question": "When?", "answers": answers(("1871", 40))},
]


def tables(examples, size=3):
    return examples.rows.with_format("arrow").iter(batch_size=size)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_back_as_it_was(tmp_path, name):
    examples = loaded(tmp_path, ROWS, name="in.jsonl")
    out = tmp_path / name
    assert write_examples(tables(examples), out) == 4
    again = load(out)
    assert list(again.rows) == list(examples.rows)
    assert again.problems == ()
    assert again.fingerprint == examples.fingerprint


@pytest.mark.parametrize("name", NAMES)
def test_examples_without_references_stay_so(tmp_path, name):
    bare = [{key: row[key] for key in ("id", "title", "context", "question")} for row in ROWS]
    examples = loaded(tmp_path, bare, name="in.jsonl")
    write_examples(tables(examples), tmp_path / name)
    again = load(tmp_path / name)
    assert not again.has_references
    assert list(again.rows) == list(examples.rows)


def test_a_reference_without_a_place_is_kept_for_scores(tmp_path):
    rows = [ROWS[0] | {"answers": answers(LUND, ("Mrs Lund", -1))}]
    examples = loaded(tmp_path, rows, name="in.jsonl", purpose="texts")
    write_examples(tables(examples), tmp_path / "a.json")
    assert references(load(tmp_path / "a.json", purpose="texts")) == {"1": [LUND, ("Mrs Lund", -1)]}


def test_squad_json_is_nested_and_writes_a_context_of_neighbours_once(tmp_path):
    examples = loaded(tmp_path, ROWS, name="in.jsonl")
    write_examples(tables(examples, size=1), tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["version"] == "v2.0"
    assert [article["title"] for article in document["data"]] == ["L", "", "L"]
    first = document["data"][0]["paragraphs"]
    assert len(first) == 1
    one, two = first[0]["qas"]
    assert one["answers"] == [{"text": "Ragna Lund", "answer_start": 48}, {"text": "Lund", "answer_start": 54}]
    assert (one["is_impossible"], two["is_impossible"]) == (False, True)
    assert two["answers"] == []


def test_parquet_has_squads_columns_and_types(tmp_path):
    write_examples(tables(loaded(tmp_path, ROWS, name="in.jsonl")), tmp_path / "a.parquet")
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert schema.names == ["id", "title", "context", "question", "answers"]
    answer = schema.field("answers").type
    assert answer.field("text").type.value_type == pa.string()
    assert answer.field("answer_start").type.value_type == pa.int32()


def test_packed_files_are_the_same_bytes_each_time(tmp_path):
    examples = loaded(tmp_path, ROWS, name="in.jsonl")
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_examples(tables(examples), tmp_path / name)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert len(gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).splitlines()) == 4


@pytest.mark.parametrize("name", ["a.csv", "a", "a.gz", "a.parquet.gz", "json"])
def test_a_format_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path, name):
    with pytest.raises(UsageError, match=r"no format to write; wanted a name that ends in \.json"):
        known_format(tmp_path / name)


def test_nothing_is_left_of_a_file_that_could_not_be_finished(tmp_path):
    def broken():
        yield next(iter(tables(loaded(tmp_path, ROWS, name="in.jsonl"))))
        raise RuntimeError("torn")

    for name in NAMES:
        with pytest.raises(RuntimeError, match="torn"):
            write_examples(broken(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]
