"""What architectures need to be asked like the others."""

import copy
import pickle

import pytest

from qa.errors import ConfigError, ModelError
from qa.inference.predictor import Predictor
from qa.modeling.quirks import choose_language, longest_window
from qa.modeling.reader import load_reader
from tests.support import tiny, zoo


@pytest.mark.parametrize(
    ("kind", "tokens"),
    [("bert", 130), ("roberta", 131), ("camembert", 131), ("mpnet", 130), ("ibert", 131), ("gpt2", 130), ("led", 136)],
)
def test_the_longest_window_leaves_out_positions_that_are_the_paddings(kind, tokens):
    assert longest_window(zoo.model(kind)) == tokens


def test_relative_positions_have_no_longest_window():
    assert longest_window(zoo.model("xlnet")) is None
    assert longest_window(zoo.model("t5")) is None


@pytest.mark.parametrize(("kind", "most"), [("roberta", 449), ("xlm-roberta", 449), ("camembert", 449), ("mpnet", 448)])
def test_a_window_beyond_the_positions_is_refused_in_a_line(kind, most, tmp_path):
    """The tokenizer names no limit: 1e30."""
    zoo.save(tmp_path, kind, max_position_embeddings=450)
    predictor = Predictor.from_pretrained(tmp_path, device="cpu")
    context = "word " * 600
    predictor(question="Who?", context=context, max_length=most)
    for length in (most + 1, 450):
        with pytest.raises(ConfigError, match=f"at most {most} tokens"):
            predictor(question="Who?", context=context, max_length=length)


def test_adapters_of_one_language_are_used_and_of_several_refused():
    model = zoo.model("xmod", languages=["en_XX"])
    choose_language(model)
    assert model.config.default_language == "en_XX"
    with pytest.raises(ModelError, match="adapters for en_XX, de_DE; wanted one of them as default_language"):
        choose_language(zoo.model("xmod", languages=["en_XX", "de_DE"]))
    choose_language(tiny.model())


@pytest.mark.parametrize(
    "copied", [lambda model: model, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_a_table_of_sines_is_not_learned(copied, tmp_path):
    """Since transformers 5.24 RoFormer's gets a gradient. It stays among the parameters, as in earlier checkpoints."""
    reader = load_reader(str(zoo.save(tmp_path, "roformer", windows=80)))
    model = copied(reader.model)
    output = model(**reader.windows(5, 20))
    (output.start_logits + output.end_logits).sum().backward()
    without = [name for name, one in model.named_parameters() if one.grad is None]
    assert without == ["roformer.encoder.embed_positions.weight"]
