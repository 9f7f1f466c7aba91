"""A comparison says of the same examples what a plain loop over them says."""

import json

import numpy as np
import pytest

from qa.config import RecipeConfig, RunConfig
from qa.data import load_validation_examples
from qa.errors import ComparisonError
from qa.evaluation.slices import slices
from qa.experiments.comparison import FEWEST, compare_systems, report_tables
from qa.experiments.finished import read_run, systems_of
from qa.metrics import exact_match, f1
from tests.support.finished import ROWS, answers, write_data, write_run

EMA = {"recipe": RecipeConfig(averaging="ema")}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "data.jsonl")


@pytest.fixture(scope="module")
def folders(data, tmp_path_factory):
    """Two recipes with two seeds each; the second is right on more of the first examples."""
    where = tmp_path_factory.mktemp("runs")
    curve = [(5, 60.0, 10.0), (10, 120.0, 20.0)]
    return [
        write_run(where / "plain-1", data, answers(lambda at: at % 3 == 0), history=curve, seed=1),
        write_run(where / "plain-2", data, answers(lambda at: at % 3 == 1), history=curve, seed=2),
        write_run(where / "ema-1", data, answers(lambda at: at % 3 == 0 or at < 30), history=curve, seed=1, **EMA),
        write_run(where / "ema-2", data, answers(lambda at: at % 3 == 1 or at < 20), history=curve, seed=2, **EMA),
    ]


@pytest.fixture(scope="module")
def comparison(folders):
    return compare_systems(systems_of([read_run(folder) for folder in folders]))


def told(folder, score):
    """Mean score of a run, one example at a time."""
    found = json.loads((folder / "predictions.json").read_text())
    return 100 * np.mean([score(found[row["id"]], row["answers"]["text"]) for row in ROWS])


def test_scores_and_differences_are_those_of_a_loop_over_the_examples(comparison, folders):
    by_run = {name: [told(folder, score) for folder in folders] for name, score in (("exact", exact_match), ("f1", f1))}
    (difference,) = comparison.differences
    for name, (a, b, c, d) in by_run.items():
        first, second = comparison.systems
        assert getattr(first, name).mean == pytest.approx((a + b) / 2)
        assert getattr(second, name).mean == pytest.approx((c + d) / 2)
        assert getattr(difference, name).mean == pytest.approx((c + d - a - b) / 2)
        assert getattr(difference, f"{name}_over_seeds").mean == pytest.approx((c + d - a - b) / 2)
        interval = getattr(difference, name)
        assert interval.low < interval.mean < interval.high
        assert interval.excludes_zero


@pytest.mark.parametrize("own", ["auto", "0.5"])
def test_references_may_be_a_split_or_share_of_the_training_data(tmp_path, own):
    """Of a share other seeds hold out other examples: those in common are compared."""
    for split in ("train", "validation"):
        write_data(tmp_path / f"{split}.jsonl")
    config = RunConfig(train_data=str(tmp_path), validation_data=own, seed=1)
    ids = set(load_validation_examples(config).rows["id"])
    found = {key: text for key, text in answers(lambda at: at % 2).items() if key in ids}
    known = {"train_data": str(tmp_path), "seed": 1}
    one, other = (
        write_run(tmp_path / "runs" / name, own, found, **known, **more) for name, more in (("a", {}), ("b", EMA))
    )
    compared = compare_systems(systems_of([read_run(one), read_run(other)]))
    assert compared.examples == len(ids)
    assert compared.differences[0].f1.mean == 0


def test_seeds_minutes_and_curves(comparison):
    first, second = comparison.systems
    assert (first.name, second.name) == ("averaging=none", "averaging=ema")
    assert first.seeds == second.seeds == (1, 2)
    assert comparison.differences[0].same_seeds
    assert first.minutes == 2.0
    assert [curve.steps for curve in first.curves] == [(5, 10)] * 2
    assert [curve.minutes for curve in first.curves] == [(1.0, 2.0)] * 2


def test_mcnemar_counts_one_sided_hits_of_each_pair_of_runs(comparison):
    (difference,) = comparison.differences
    assert [(test.only_first, test.only_second) for test in difference.mcnemar] == [(0, 20), (0, 13)]


def test_slices_are_sorted_and_hold_their_examples(comparison):
    found = comparison.differences[0].slices
    sizes = {name: int(members.sum()) for name, members in slices(ROWS).items()}
    assert {one.name: one.examples for one in found} == {
        name: size for name, size in sizes.items() if FEWEST <= size < len(ROWS)
    }
    effects = [abs(one.f1.mean) for one in found]
    assert effects == sorted(effects, reverse=True)
    for one in found:
        assert one.f1_second - one.f1_first == pytest.approx(one.f1.mean)
    overall = comparison.differences[0].f1
    widest = max(one.f1.high - one.f1.low for one in found)
    assert widest > overall.high - overall.low


def test_report_tables_have_a_row_of_everything(comparison):
    tables = report_tables(comparison)
    for columns, rows in tables.values():
        assert all(len(row) == len(columns) for row in rows)
    assert [row[0] for row in tables["recipes"][1]] == ["averaging=none", "averaging=ema"]
    assert len(tables["curves"][1]) == 8
    assert tables["curves"][1][0] == ["averaging=none", 1, 5, 1.0, 10.0]
    assert len(tables["slices"][1]) == len(comparison.differences[0].slices)


def test_equal_runs_do_not_differ(data, tmp_path):
    folders = [write_run(tmp_path / name, data, answers(lambda at: at % 2 == 0)) for name in "ab"]
    (difference,) = compare_systems(systems_of([read_run(folder) for folder in folders])).differences
    assert (difference.f1.mean, difference.f1.low, difference.f1.high) == (0, 0, 0)
    assert [test.p for test in difference.mcnemar] == [1.0]
    assert not any(one.f1.excludes_zero for one in difference.slices)


def test_only_common_examples_count_and_the_others_are_told(data, tmp_path):
    right, some = answers(lambda _: True), answers(lambda at: at < 10)
    runs = [
        write_run(tmp_path / "all", data, right),
        write_run(tmp_path / "some", data, {key: some[key] for key in [*some][:25]}),
    ]
    found = compare_systems(systems_of([read_run(folder) for folder in runs]))
    assert (found.examples, found.left_out) == (25, 35)
    assert found.differences[0].exact.mean == pytest.approx(-100 * 15 / 25)


def test_references_can_be_named_and_must_be_the_same(data, tmp_path):
    moved = write_run(tmp_path / "moved", tmp_path / "gone.jsonl", answers(lambda _: True))
    runs = systems_of([read_run(moved), read_run(write_run(tmp_path / "other", data, answers(lambda _: False)))])
    assert compare_systems(runs, data=str(data)).differences[0].f1.mean == -100.0
    changed = [ROWS[0] | {"question": "Another?"}, *ROWS[1:]]
    write_data(tmp_path / "gone.jsonl", changed)
    with pytest.raises(ComparisonError, match=f"{ROWS[0]['id']!r} has another question"):
        compare_systems(runs)


def test_what_cannot_be_compared_is_an_error(data, tmp_path):
    one = read_run(write_run(tmp_path / "one", data, answers(lambda _: True)))
    with pytest.raises(ComparisonError, match="two or more"):
        compare_systems(systems_of([one]))
    found = answers(lambda _: True)
    halves = [{key: found[key] for key in part} for part in ([*found][:30], [*found][30:])]
    runs = [read_run(write_run(tmp_path / f"half-{at}", data, half)) for at, half in enumerate(halves)]
    with pytest.raises(ComparisonError, match="no example in common"):
        compare_systems(systems_of(runs))
    strange, alike = (read_run(write_run(tmp_path / name, data, found)) for name in ("strange", "alike"))
    for run in (strange, alike):
        run.answers["unknown"] = "x"
    with pytest.raises(ComparisonError, match="'unknown' is not in"):
        compare_systems(systems_of([strange, alike]))
