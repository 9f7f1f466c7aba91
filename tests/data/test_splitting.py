"""Parts without a context in two of them: nothing shared, nothing lost, shares kept, the same for the same seed."""

import random
import tracemalloc

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.data.splitting import Groups, assign, context_key, held_out
from qa.errors import DataError


def grouped(rows, by="context"):
    groups = Groups(by)
    for title, context, answerable in rows:
        groups.add(title, context, answerable=answerable)
    return groups


def parts_of(rows, shares, *, by="context", seed=0):
    """The part of every row."""
    groups = grouped(rows, by)
    choice = assign(groups.totals(), shares, seed=seed)
    return [choice[groups.group_of(context)] for _, context, _ in rows]


def questions(contexts, each=4, share_impossible=0.25):
    draw = random.Random(3)
    return [(f"t{at // 5}", f"context {at}", draw.random() > share_impossible) for at in range(contexts)] * each


ROWS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("stuvwxyz"), st.booleans()), min_size=1)


@pytest.mark.parametrize("by", ["context", "title"])
@given(rows=ROWS, count=st.integers(2, 4), seed=st.integers(0, 3))
def test_no_context_and_no_title_is_in_two_parts_and_no_part_is_empty(by, rows, count, seed):
    shares = (1.0 / count,) * count
    try:
        parts = parts_of(rows, shares, by=by, seed=seed)
    except DataError:
        assert len(grouped(rows, by).totals()) < count
        return
    assert set(parts) == set(range(count))
    for column in (1, 0) if by == "title" else (1,):
        found = {}
        for row, part in zip(rows, parts, strict=True):
            assert found.setdefault(row[column], part) == part


@given(rows=ROWS)
def test_groups_by_title_are_the_connected_ones(rows):
    """The dull way: every row joins the sets that it meets."""
    sets = []
    for title, context, _ in rows:
        met = [one for one in sets if {f"title {title}", f"context {context}"} & one]
        sets = [one for one in sets if one not in met]
        sets.append({f"title {title}", f"context {context}"}.union(*met))
    groups = grouped(rows, "title")
    found = {}
    for _, context, _ in rows:
        found.setdefault(groups.group_of(context), set()).add(f"context {context}")
    wanted = [{name for name in one if name.startswith("context")} for one in sets]
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, wanted))


@pytest.mark.parametrize("shares", [(0.9, 0.1), (0.8, 0.1, 0.1), (0.2,) * 5])
def test_every_part_has_its_share_of_answerable_and_impossible_examples(shares):
    rows = questions(200)
    parts = parts_of(rows, shares)
    for answerable in (True, False):
        members = [part for part, row in zip(parts, rows, strict=True) if row[2] is answerable]
        for part, share in enumerate(shares):
            assert members.count(part) / len(members) == pytest.approx(share, abs=0.02)


def test_one_large_group_does_not_draw_all_others_with_it():
    rows = [("", "large", True)] * 60 + [("", f"small {at}", True) for at in range(40)]
    parts = parts_of(rows, (0.5, 0.5))
    assert parts[0] == parts[59]
    assert parts.count(1 - parts[0]) == 40


def test_seeds_choose_differently_and_the_same_seed_alike_whatever_the_order():
    rows = questions(60, each=1)
    one = dict(zip(rows, parts_of(rows, (0.5, 0.5), seed=1), strict=True))
    shuffled = random.Random(0).sample(rows, len(rows))
    assert dict(zip(shuffled, parts_of(shuffled, (0.5, 0.5), seed=1), strict=True)) == one
    assert dict(zip(rows, parts_of(rows, (0.5, 0.5), seed=2), strict=True)) != one


def test_contexts_that_differ_in_white_space_case_and_normal_form_are_one():
    assert context_key("Caf\u00e9  au\nlait ") == context_key("cafe\u0301 au lait")
    assert context_key("a b") != context_key("ab")


def test_fewer_groups_than_parts_are_refused_with_both_numbers():
    with pytest.raises(DataError, match="1 contexts or titles do not make 2 parts"):
        parts_of([("", "one", True)] * 5, (0.5, 0.5))


def test_without_titles_a_title_does_not_join_contexts():
    assert len(grouped([("", "a", True), ("", "b", True)], "title").totals()) == 2


def test_what_is_held_out_has_whole_contexts_and_its_share():
    rows = [
        {"id": str(at), "context": context, "answers": {"text": ["x"] if answerable else [], "answer_start": []}}
        for at, (_, context, answerable) in enumerate(questions(50))
    ]
    dataset = datasets.Dataset.from_list(rows)
    chosen = held_out(dataset, 0.2, seed=5)
    assert len(chosen) == pytest.approx(0.2 * len(rows), abs=4)
    inside = {rows[at]["context"] for at in chosen}
    assert not inside & {row["context"] for at, row in enumerate(rows) if at not in set(chosen)}
    assert held_out(dataset, 0.2, seed=5) == chosen
    assert held_out(dataset, 0.2, seed=6) != chosen


def test_holding_out_keeps_few_of_the_texts_in_memory():
    contexts = [f"{at} {'stone ' * 400}" for at in range(4_000)]
    answers = [{"text": ["stone"], "answer_start": [9]}] * len(contexts)
    dataset = datasets.Dataset.from_dict({"context": contexts, "answers": answers})
    tracemalloc.start()
    held_out(dataset, 0.2, seed=5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * sum(map(len, contexts))
