"""Features that are built in shards are those that are built at once, by whoever and however often interrupted."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from qa.data.examples import Examples
from qa.data.store import stored_in_shards
from qa.errors import FeatureError
from qa.features import shards
from qa.features.cache import cached_features, load_features, save_features
from qa.features.shards import FeatureShards
from qa.features.windows import Encoder, build_features
from tests.support import tiny
from tests.support.windows import config, same_features

KEY = "0123456789abcdef" * 2


def rows():
    """Contexts that recur near and far, one of many windows, one that is white space to a tokenizer, long questions."""
    sample = tiny.sample("train").select(range(40)).to_list()
    long = " ".join(row["context"] for row in sample[:9])
    others = [tiny.example("Which?", long), tiny.example("Why " * 90, "one two"), tiny.example("?", "\u200b")]
    return tiny.examples(*others, *sample[:20], others[0] | {"question": "When?"}, *sample[::-1])


def loaded(folder, like):
    """The features whose columns are in a folder; how rows are made is not the shards' business."""
    save_features(like, folder.parent)
    (folder.parent / "layout.json").rename(folder / "layout.json")
    return load_features(folder)


@pytest.fixture
def tokenised(monkeypatch):
    """How many questions each call tokenised."""
    calls, tokenise = [], shards.question_tokens

    def counted(backend, texts, longest):
        calls.append(len(texts[0]))
        return tokenise(backend, texts, longest)

    monkeypatch.setattr(shards, "question_tokens", counted)
    return calls


@pytest.mark.parametrize("family", ["bert", "xlnet"])
@pytest.mark.parametrize("texts", [1, 7, 1000])
def test_features_are_those_that_are_built_at_once(family, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "ENCODE_AT_ONCE", 3)
    examples, sizes = rows(), config(96, 24, 32)
    wanted = build_features(examples, tiny.tokenizer(family), sizes)
    parts = FeatureShards(examples, Encoder.of(tiny.tokenizer(family)), sizes, size=texts)
    folder = stored_in_shards(tmp_path, KEY, parts.phases, parts.join)
    assert same_features(loaded(folder, wanted), wanted)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [KEY]


@pytest.mark.parametrize("chosen", [[0], [5, 5, 5, 0, 44], list(range(0, 60, 7))])
def test_rows_that_are_a_choice_of_others_are_read_in_their_order(chosen, tmp_path):
    examples, sizes = rows().select(chosen), config(96, 24, 32, cache_dir=tmp_path)
    found = cached_features(Examples(rows=examples), Encoder.of(tiny.tokenizer()), sizes)
    assert same_features(found, build_features(examples, tiny.tokenizer(), sizes))


def test_all_that_come_share_the_work_and_do_nothing_twice(tmp_path, tokenised):
    examples, sizes, encoder = rows(), config(96, 24, 32), Encoder.of(tiny.tokenizer())
    parts = FeatureShards(examples, encoder, sizes, size=4)
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: stored_in_shards(tmp_path, KEY, parts.phases, parts.join), range(6)))
    assert folders == [tmp_path / KEY] * 6
    assert sum(tokenised) == len(examples)


def test_what_an_interrupted_process_has_done_is_not_done_again(tmp_path, monkeypatch, tokenised):
    examples, sizes, encoder = rows(), config(96, 24, 32), Encoder.of(tiny.tokenizer())
    parts = FeatureShards(examples, encoder, sizes, size=16)
    with monkeypatch.context() as broken:
        counted = shards.question_tokens

        def killed(*given):
            if len(tokenised) == 2:
                raise KeyboardInterrupt
            return counted(*given)

        broken.setattr(shards, "question_tokens", killed)
        with pytest.raises(KeyboardInterrupt):
            stored_in_shards(tmp_path, KEY, parts.phases, parts.join)
    assert not (tmp_path / KEY).exists()
    half = tmp_path / f"{KEY}.shards" / ".question-2.part"  # what a kill leaves, which cleans nothing up
    half.mkdir()
    (half / "question_ids.npy").write_bytes(b"half")
    done = len(tokenised)
    stored_in_shards(tmp_path, KEY, parts.phases, parts.join)
    assert sum(tokenised) == len(examples)
    assert len(tokenised) == 4 > done


def test_a_window_without_room_is_refused_before_anything_is_tokenised(tmp_path, tokenised):
    with pytest.raises(FeatureError, match="wanted at least 1"):
        cached_features(
            Examples(rows=tiny.small()), Encoder.of(tiny.tokenizer()), config(64, 16, 64, cache_dir=tmp_path)
        )
    assert tokenised == []


def peak_of_building(count, folder):
    """Bytes of Python and NumPy; Arrow's are not traced, and hold the examples alone."""
    row = tiny.example("Who built it?", "")
    examples = tiny.examples(*(row | {"context": f"the {at} lighthouses " + "of stone " * 20} for at in range(count)))
    encoder, sizes = Encoder.of(tiny.tokenizer()), config(cache_dir=folder)
    parts = FeatureShards(examples, encoder, sizes, size=256)
    tracemalloc.start()
    stored_in_shards(folder, KEY, parts.phases, parts.join)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "ENCODE_AT_ONCE", 128)
    few, many = (peak_of_building(count, tmp_path / str(count)) for count in (512, 4096))
    assert (many - few) / (4096 - 512) < 100  # bytes an example, which has 44 tokens of 12 bytes


def test_empty_sets_have_no_features(tmp_path):
    parts = FeatureShards(tiny.small().select([]), Encoder.of(tiny.tokenizer()), config())
    folder = stored_in_shards(tmp_path, KEY, parts.phases, parts.join)
    wanted = build_features(tiny.small().select([]), tiny.tokenizer(), config())
    found = loaded(folder, wanted)
    assert same_features(found, wanted)
    assert np.array_equal(found.context_ids.bounds, [0])
