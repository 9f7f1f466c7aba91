"""Features and labels in files: built once, loaded as they were built."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from qa.data.examples import Examples
from qa.errors import LabelError
from qa.features import shards
from qa.features.cache import cached_features, cached_labels, load_features, save_features
from qa.features.labels import build_labels
from qa.features.windows import Encoder, build_features
from tests.support import tiny
from tests.support.windows import (
    config,
    our_windows,
    same_features,
)


@pytest.mark.parametrize("family", ["bert", "xlnet"])
def test_features_loaded_from_files_equal_those_that_were_built(family, tmp_path):
    features = build_features(tiny.sample("validation"), tiny.tokenizer(family), config(128, 32, 48))
    save_features(features, tmp_path)
    loaded = load_features(tmp_path)
    assert same_features(features, loaded)
    assert our_windows(loaded) == our_windows(features)
    assert not loaded.token_start.flags.owndata  # mapped, not copied


@pytest.fixture
def builds(monkeypatch):
    """Every batch of questions that is tokenised."""
    calls, build = [], shards.question_tokens
    monkeypatch.setattr(shards, "question_tokens", lambda *args: calls.append(args) or build(*args))
    return calls


def test_the_second_call_does_not_tokenise_again(builds, tmp_path):
    def features(tokenizer):
        return cached_features(Examples(rows=tiny.small()), Encoder.of(tokenizer), config(cache_dir=tmp_path))

    first = features(tiny.tokenizer())
    used = tiny.fresh_tokenizer()
    used("a b c", truncation=True, max_length=3)  # leaves truncation switched on
    assert same_features(features(used), first)
    assert len(builds) == 1
    assert same_features(first, build_features(tiny.small(), tiny.tokenizer(), config()))


def test_the_cache_key_covers_tokenizer_settings_and_data(builds, tmp_path):
    left = tiny.fresh_tokenizer()
    left.padding_side = "left"
    extended = tiny.fresh_tokenizer()
    extended.add_tokens("Loire")
    data = Examples(rows=tiny.small())
    base = data, tiny.tokenizer(), config(cache_dir=tmp_path)
    variants = [
        base,
        *[(data, tokenizer, base[2]) for tokenizer in (tiny.tokenizer("roberta"), left, extended)],
        *[
            (data, base[1], config(*sizes, cache_dir=tmp_path))
            for sizes in ((300, 128, 64), (384, 100, 64), (384, 128, 60))
        ],
        (data, base[1], config(all_references=True, cache_dir=tmp_path)),
        (Examples(rows=tiny.small(5)), *base[1:]),
    ]
    keys = [cached_features(data, Encoder.of(known), sizes).key for data, known, sizes in variants * 2]
    assert keys[: len(variants)] == keys[len(variants) :]
    assert len(set(keys)) == len(variants)
    assert len(builds) == len(variants)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == len(variants)


def build_in(folder, barrier=None):
    if barrier is not None:
        barrier.wait()
    return len(cached_features(Examples(rows=tiny.small()), Encoder.of(tiny.tokenizer()), config(cache_dir=folder)))


def test_threads_that_build_at_once_build_once(builds, tmp_path):
    tiny.tokenizer()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(build_in, [tmp_path] * 8)) == {6}
    assert len(builds) == 1


@pytest.mark.processes
def test_processes_that_build_at_once_leave_one_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    other = context.Process(target=build_in, args=(tmp_path, barrier))
    other.start()
    assert build_in(tmp_path, barrier) == 6
    other.join()
    assert other.exitcode == 0
    assert len([path for path in tmp_path.iterdir() if path.suffix != ".lock"]) == 1


@pytest.mark.parametrize("step", ["question_tokens", "lay_windows"])
def test_a_build_that_fails_leaves_nothing_that_is_taken_for_whole(step, tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(shards, step, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build_in(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".shards"} | ({".lock"} if step == "lay_windows" else set())
    assert build_in(tmp_path) == 6
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".lock"]


@pytest.mark.parametrize("every", [False, True])
def test_labels_are_cached_beside_their_features(every, tmp_path):
    rows = tiny.examples(tiny.example("Which?", "one two one", "one", ("one", 8)), *tiny.small(3))
    examples, settings_ = Examples(rows=rows), config(cache_dir=tmp_path, all_references=every)
    features = cached_features(examples, Encoder.of(tiny.tokenizer()), settings_)
    wanted = build_labels(examples.rows, features, every=every)
    for _ in range(2):
        found = cached_labels(examples, features, settings_)
        for name, column in vars(wanted).items():
            assert np.array_equal(getattr(found, name), column)
        assert not found.first.flags.owndata  # mapped, not copied
    assert len(wanted.first) == 3 + every


def test_labels_that_do_not_translate_back_are_refused_unless_the_bar_is_lower(tmp_path):
    rows = tiny.examples(tiny.example("q", "the Loire flows", "oir"), tiny.example("q", "the Loire flows", "the"))
    examples, settings_ = Examples(rows=rows), config(cache_dir=tmp_path)
    features = cached_features(examples, Encoder.of(tiny.tokenizer()), settings_)
    wanted = r"50.00 % of 2 labels .*1 are wider, 0 narrower.*wanted 95 %.*least-round-trip[\s\S]*'Loire' for .* 'oir'"
    for _ in range(2):
        with pytest.raises(LabelError, match=wanted):
            cached_labels(examples, features, settings_)
    assert len(cached_labels(examples, features, config(cache_dir=tmp_path, least_round_trip=50.0))) == 2
