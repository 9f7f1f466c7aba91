"""A hash of the weights, and what counts of a configuration."""

from qa.modeling.fingerprint import model_settings, weights_fingerprint
from qa.modeling.reader import load_reader
from tests.support import tiny


def test_weights_and_dropout_are_content_not_names(tmp_path):
    """The same folder name with other weights or another dropout; another name with the same ones."""
    one, same, other = (tiny.save_reader(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    prints = [weights_fingerprint(load_reader(str(folder)).model) for folder in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]
    settings = [model_settings(load_reader(str(folder)).model) for folder in (one, same)]
    assert settings[0] == settings[1]
    tiny.save_reader(one, hidden_dropout_prob=0.5)
    changed = model_settings(load_reader(str(one)).model)
    assert {name for name in changed if changed[name] != settings[0][name]} == {"hidden_dropout_prob"}
