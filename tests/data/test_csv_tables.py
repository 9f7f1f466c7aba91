"""Tables as text: what separates cells, what a cell may hold, and how they break."""

import pytest

from qa.errors import ExampleError
from tests.support.formats import failure, read
from tests.support.rows import CONTEXT, LUND, WHO, loaded, references, write


def test_csv_cells_are_texts_but_for_truth(tmp_path):
    content = "id,context,question,answers,is_impossible\n1,c,q,,TRUE\n\n2,c,q,[3],no\n3,c,q,x,\n4,c,q,,1\n5,c,q,,0.0\n"
    rows = read(write(tmp_path / "a.csv", content))
    assert [(row["id"], row["answers"], row["is_impossible"]) for row in rows] == [
        ("1", "", True),
        ("2", "[3]", "no"),
        ("3", "x", None),
        ("4", "", True),
        ("5", "", False),
    ]


def test_csv_cells_may_be_longer_than_the_default_limit(tmp_path):
    long = "x" * 200_000
    assert read(write(tmp_path / "a.csv", f"id,context,question\n1,{long},q\n"))[0]["context"] == long


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id,context,question\n1,c\n", "line 2: found 2 cells; wanted 3"),
        ("id,context,question\n1,c,d,q\n", "line 2: found 4 cells; wanted 3"),
        ('id,context,question\n1,c,"q\n', "line 2 is not CSV"),
        (
            'id,context,question\n1,c,q\n2,"c,q\n3,c,q\n\n',
            "line 3, where a row begins that goes on to line 5, is not CSV",
        ),
        (
            'id,context,question\n1,"c,q\n2,c",q\n3,"c\n",q\n4,"c\n"\n',
            "line 6, where a row begins that goes on to line 7,",
        ),
        ('id,context,question\n1,"c,q\n2,c"q\n', "line 2, where a row begins that goes on to line 3, is not CSV"),
        ("id,context,question\r1,c,q\r", "is not CSV"),
    ],
)
def test_broken_csv_says_the_line(tmp_path, content, expected):
    assert expected in failure(write(tmp_path / "a", content))


def test_a_cell_that_is_neither_json_nor_python_says_so(tmp_path):
    content = f"""id,question,context,answers\n1,{WHO},"{CONTEXT}","{{'text': ['Ragna"\n"""
    with pytest.raises(ExampleError, match=r"answers of wrong type.* neither JSON nor a Python literal"):
        loaded(tmp_path, content)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", ["", "sep={}\n"])
def test_what_separates_the_cells_of_a_table_is_found(tmp_path, separator, first):
    header = separator.join(("id", "question", "context", "answer", "answer_start"))
    cells = separator.join(("1", WHO, f'"{CONTEXT}"', "Ragna Lund", "48"))
    content = f"{first.format(separator)}{header}\n{cells}\n"
    assert references(loaded(tmp_path, content)) == {"1": [LUND]}
