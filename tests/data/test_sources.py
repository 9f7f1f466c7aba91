"""Every format and place that rows come from, and every way in which they can be damaged."""

import csv
import gzip
import io
import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qa.config import DataConfig
from qa.data.sources import looks_like_path, read_rows
from qa.errors import DataError, SplitError
from tests.support.rows import loaded

CONTEXT = 'Zürich lies\r\non the "Limmat", 408 m\u2028above 😀 the sea.'
ROWS = [
    {
        "id": f"q{number}",
        "title": "Zürich",
        "context": CONTEXT,
        "question": f"Where, {number}?",
        "answers": {"text": ["Limmat"], "answer_start": [CONTEXT.index("Limmat")]},
    }
    for number in range(3)
]


def nested(rows, *, version="1.1"):
    def question(row):
        texts, starts = row["answers"]["text"], row["answers"]["answer_start"]
        answers = [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)]
        return {"id": row["id"], "question": row["question"], "answers": answers}

    paragraphs = [{"context": row["context"], "qas": [question(row)]} for row in rows]
    return {"version": version, "data": [{"title": rows[0]["title"], "paragraphs": paragraphs}]}


def csv_text(rows):
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows({**row, "answers": json.dumps(row["answers"])} for row in rows)
    return buffer.getvalue()


TEXTS = {
    "nested": json.dumps(nested(ROWS)),
    "nested-indented": json.dumps(nested(ROWS), indent=2, ensure_ascii=False),
    "articles": json.dumps(nested(ROWS)["data"]),
    "list": json.dumps(ROWS),
    "data-list": json.dumps({"version": "x", "data": ROWS}, ensure_ascii=False),
    "lines": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS),
    "lines-crlf": "\r\n".join(json.dumps(row) for row in ROWS) + "\r\n\r\n",
    "csv": csv_text(ROWS),
}


def read(source, *, split="train", config=None):
    return list(read_rows(str(source), split=split, config=config or DataConfig()))


def flat(row):
    """Return a row with its answers in the layout of columns."""
    answers = row["answers"]
    answers = json.loads(answers) if isinstance(answers, str) else answers
    if isinstance(answers, list):
        answers = {key: [answer[key] for answer in answers] for key in ("text", "answer_start")}
    return {**row, "answers": answers}


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def failure(source, **options):
    with pytest.raises(DataError) as caught:
        read(source, **options)
    return str(caught.value)


# Formats


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda text: b"\xef\xbb\xbf" + text], ids=["", "gz", "bom"])
@pytest.mark.parametrize("name", TEXTS)
def test_every_text_format_gives_the_rows_whatever_the_name(tmp_path, name, pack):
    path = write(tmp_path / "misleading.parquet", pack(TEXTS[name].encode()))
    assert [flat(row) for row in read(path)] == ROWS


def test_parquet_without_the_columns_that_nobody_reads_but_with_all_that_look_like_labels(tmp_path):
    path = tmp_path / "misleading.json"
    pq.write_table(pa.Table.from_pylist([{**row, "extra": 1, "my_labels": 2} for row in ROWS]), path)
    assert read(path) == [{**row, "my_labels": 2} for row in ROWS]


def test_a_file_of_one_json_line(tmp_path):
    assert read(write(tmp_path / "one", json.dumps(ROWS[0]))) == ROWS[:1]


def test_csv_cells_are_texts_but_for_truth(tmp_path):
    content = "id,context,question,answers,is_impossible\n1,c,q,,TRUE\n\n2,c,q,[3],no\n3,c,q,x,\n"
    rows = read(write(tmp_path / "a.csv", content))
    assert [(row["id"], row["answers"], row["is_impossible"]) for row in rows] == [
        ("1", "", True),
        ("2", "[3]", "no"),
        ("3", "x", None),
    ]


def test_csv_cells_may_be_longer_than_the_default_limit(tmp_path):
    long = "x" * 200_000
    assert read(write(tmp_path / "a.csv", f"id,context,question\n1,{long},q\n"))[0]["context"] == long


def test_plausible_answers_are_no_answers(tmp_path):
    document = nested(ROWS[:1], version="v2.0")
    question = document["data"][0]["paragraphs"][0]["qas"][0]
    question |= {"is_impossible": True, "answers": [], "plausible_answers": question["answers"]}
    (row,) = loaded(tmp_path, document).rows
    assert row["answers"] == {"text": [], "answer_start": []}


def test_json_lines_are_read_one_at_a_time(tmp_path):
    path = write(tmp_path / "a.jsonl", TEXTS["lines"] + "{damaged")
    rows = read_rows(str(path), split="train", config=DataConfig())
    assert [next(rows) for _ in ROWS] == ROWS
    with pytest.raises(DataError, match="line 4, column 2"):
        next(rows)


# Damage


@pytest.mark.parametrize("content", [b"", b" \n\t", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_named(tmp_path, content):
    assert "a.json: the file is empty" in failure(write(tmp_path / "a.json", content))


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n", b"just some prose, with a comma", "prose".encode("utf-16"), b"nr;size\n1;2\n"]
)
def test_an_unknown_format_lists_what_is_accepted(tmp_path, content):
    message = failure(write(tmp_path / "a.json", content))
    assert "unknown format, starting with b" in message
    assert all(
        word in message for word in ("SQuAD JSON, nested", "JSON Lines", "CSV", "Parquet", "save_to_disk", "UTF-8")
    )


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('{"data": [\n  {"title": "x",\n', "line 3, column 1"),
        ('[{"id": "1"}', "line 1, column 13"),
        ('{"id": "1", "context": "tru', "line 1, column 24"),
        ('{"id": "1"}\n{"id": "2", \n', "line 2, column 12"),
        ('{"id": "1"}\n[2]\n', "line 2, column 1"),
        ('{"id": "1", "context": "raw\nbreak"}', "line 1, column 28"),
    ],
)
def test_broken_json_says_line_and_column(tmp_path, content, place):
    assert f"a: {place} is not JSON" in failure(write(tmp_path / "a", content))


@pytest.mark.parametrize("content", ["[" * 100_000, '{"id": ' + "9" * 5000 + "}"])
def test_json_that_python_refuses_is_named(tmp_path, content):
    assert "a: JSON from line 1 cannot be read" in failure(write(tmp_path / "a", content))


@pytest.mark.parametrize("name", ["list", "lines", "csv"])
def test_a_wrong_encoding_says_the_line(tmp_path, name):
    first, rest = TEXTS[name].replace("\\u00fc", "ü").replace("\u2028", "").replace("😀", "").split("ü", 1)
    message = failure(write(tmp_path / "a", f"{first}ü{rest}".encode("latin-1")))
    assert f"a: line {first.count(chr(10)) + 1}, byte" in message
    assert "is not UTF-8" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id,context,question\n1,c\n", "line 2: found 2 cells; wanted 3"),
        ("id,context,question\n1,c,d,q\n", "line 2: found 4 cells; wanted 3"),
        ('id,context,question\n1,c,"q\n', "line 2 is not CSV"),
        ("id,context,question\r1,c,q\r", "is not CSV"),
    ],
)
def test_broken_csv_says_the_line(tmp_path, content, expected):
    assert expected in failure(write(tmp_path / "a", content))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"data": "text"}, "data is of type str; wanted a list"),
        ({"data": [{"paragraphs": 3}]}, ": data[0].paragraphs is of type int; wanted a list"),
        ({"data": [{"paragraphs": [7]}]}, ": data[0].paragraphs[0] is of type int; wanted an object"),
        ({"data": [{"paragraphs": [{"qas": None}]}]}, ": data[0].paragraphs[0].qas is of type NoneType; wanted a list"),
        ({"data": [{"paragraphs": [{"qas": ["x"]}]}]}, "data[0].paragraphs[0].qas[0] is of type str; wanted an object"),
    ],
)
def test_a_wrong_nesting_says_where(tmp_path, content, expected):
    assert expected in failure(write(tmp_path / "a", json.dumps(content)))


def test_parquet_without_a_needed_column_and_truncated(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["1"], "page": ["c"], "question": ["q"]}), path)
    assert "no column context; found ['id', 'page', 'question']; wanted id, context, question" in failure(path)
    write(path, path.read_bytes()[:-20])
    assert "a.parquet: cannot be read: ArrowInvalid" in failure(path)


def test_truncated_and_broken_gzip(tmp_path):
    packed = gzip.compress(TEXTS["lines"].encode() * 100, mtime=0)
    assert "cannot be read: EOFError" in failure(write(tmp_path / "a", packed[:-30]))
    assert "cannot be read: BadGzipFile" in failure(write(tmp_path / "b", packed[:-8] + b"12345678"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_give_rows_or_a_named_error(tmp_path, data):
    name = data.draw(st.sampled_from(sorted(TEXTS)))
    content = bytearray(TEXTS[name].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = write(tmp_path / "a", bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        read(path)
    except DataError as error:
        message = str(error)
        assert str(path) in message


# Folders


def test_a_saved_dataset_and_a_saved_dictionary(tmp_path):
    dataset = datasets.Dataset.from_list([*ROWS, {**ROWS[0], "id": "other"}])
    dataset.select([2, 1]).save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": dataset.select(range(3)), "test": dataset.select([3])}).save_to_disk(tmp_path / "d")
    assert read(tmp_path / "one") == [ROWS[2], ROWS[1]]
    assert read(tmp_path / "d") == ROWS
    assert "no split 'validation'; found train, test" in failure(tmp_path / "d", split="validation")
    write(tmp_path / "one" / "state.json", "{}")
    assert "one: not a whole folder of save_to_disk" in failure(tmp_path / "one")


@pytest.mark.parametrize("name", ["dev-v1.1.json", "validation.jsonl", "valid_set.gz", "val"])
def test_a_folder_with_a_file_named_after_the_split(tmp_path, name):
    write(tmp_path / name, TEXTS["nested"])
    write(tmp_path / "train.json", "[]")
    write(tmp_path / "values.json", "[]")
    assert len(read(tmp_path, split="validation")) == len(ROWS)


def test_shards_are_read_in_order_and_must_be_complete(tmp_path):
    for index, row in enumerate(ROWS):
        write(tmp_path / f"train-{index:05d}-of-00003.jsonl", json.dumps(row))
    assert read(tmp_path) == ROWS
    (tmp_path / "train-00001-of-00003.jsonl").unlink()
    assert "split 'train' is ambiguous or incomplete" in failure(tmp_path)


def test_a_folder_without_or_with_two_files_for_the_split(tmp_path):
    assert "no file for split 'train'; found no files; wanted a name like train.jsonl" in failure(tmp_path)
    write(tmp_path / "trains.json", "[]")
    assert "no file for split 'train'; found trains.json" in failure(tmp_path)
    write(tmp_path / "train.json", "[]")
    write(tmp_path / "train-v2.json", "[]")
    assert "found train-v2.json, train.json; wanted one file, or all" in failure(tmp_path)


# The embedded set, the hub, and what is not there


def test_the_embedded_set_names_its_splits():
    assert failure("sample", split="test").startswith("sample: no split 'test'; found ")


def test_other_languages_are_named_after_a_colon():
    questions = {
        source: [row["question"] for row in read(source, split="validation")]
        for source in ("sample", "sample:ar", "sample:zh")
    }
    assert all("?" in question for question in questions["sample"])
    assert all("؟" in question for question in questions["sample:ar"])
    assert all("？" in question for question in questions["sample:zh"])
    assert failure("sample:zh", split="train") == "sample:zh: no split 'train'; found validation"


@pytest.mark.parametrize("source", ["sample:xx", "sample:", "sample:zh/validation", "sample:.."])
def test_a_language_without_a_set_is_answered_with_those_there_are(source):
    assert failure(source) == f"{source}: no such embedded set; found sample, sample:ar, sample:zh"


@pytest.mark.parametrize(
    ("source", "hub_id"), [("squad", "rajpurkar/squad"), ("squad_v2", "rajpurkar/squad_v2"), ("a/b", "a/b")]
)
def test_a_hub_id_is_loaded_with_name_split_and_revision(monkeypatch, source, hub_id):
    calls = []

    def load_dataset(path, **options):
        calls.append((path, options))
        return datasets.Dataset.from_list([{**row, "extra": 1} for row in ROWS])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert read(source, split="test[:3]", config=DataConfig(name="en", revision="v1")) == ROWS
    assert calls == [(hub_id, {"name": "en", "split": "test[:3]", "revision": "v1"})]


def test_a_hub_set_without_the_columns_names_them(monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.Dataset.from_dict({"text": ["a"]}))
    assert failure("a/b").startswith("a/b: no column question; found ['text']; wanted id, context")


def test_a_split_that_is_not_there_is_an_error_of_its_own(tmp_path, monkeypatch):
    def unknown(*_, **__):
        raise ValueError("Unknown split \"dev\". Should be one of ['train'].")

    monkeypatch.setattr(datasets, "load_dataset", unknown)
    write(tmp_path / "train.json", TEXTS["list"])
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(tmp_path / "saved")
    write(tmp_path / "parts.json", json.dumps({"train": ROWS}))
    for source in ("a/b", tmp_path, tmp_path / "saved", tmp_path / "parts.json", "sample"):
        with pytest.raises(SplitError):
            read(source, split="dev")
    with pytest.raises(SplitError, match="one file, without splits"):
        list(read_rows(str(tmp_path / "train.json"), split="validation", config=DataConfig(), own_split=True))


def test_a_hub_failure_says_what_was_tried():
    message = failure("squad", config=DataConfig(name="plain_text", revision="main"))
    assert "cannot load 'rajpurkar/squad' from the hub (name 'plain_text', split 'train', revision 'main')" in message
    assert "no such path exists" in message


def test_a_path_that_exists_wins_over_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "squad", TEXTS["list"])
    assert read("squad") == ROWS


@pytest.mark.parametrize(
    "source", ["train.json", "./data", "/no/where", "a/b/c", "owner/set.parquet", "~/x.gz", "~nobody-here/x.gz"]
)
def test_a_missing_path_is_not_looked_up_on_the_hub(monkeypatch, source):
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: pytest.fail("looked up on the hub"))
    assert failure(source).startswith(f"{source}: no such file or folder")


def test_rows_in_the_place_of_a_path_are_an_error_in_a_line():
    assert "File name too long; wanted a path" in failure(json.dumps(ROWS) * 40)


@pytest.mark.parametrize(
    ("source", "is_path"),
    [
        ("squad", False),
        ("rajpurkar/squad_v2", False),
        ("./data", True),
        ("~/data", True),
        ("a/b/c", True),
        ("data/train.json", True),
        ("C:\\data\\squad", True),
        ("C:/squad", True),
        ("data\\squad", True),
        ("sample:zh", False),
    ],
)
def test_paths_of_any_system_are_told_from_hub_ids(source, is_path):
    assert looks_like_path(source) is is_path
