"""A saved layout comes back, and a torn one is told."""

import pytest

from qa.errors import ModelError
from qa.features.windows import Encoder
from qa.modeling.layout_file import LAYOUT_FILE, Layout
from tests.support import tiny


def test_a_layout_comes_back_as_saved(tmp_path):
    template = Encoder.of(tiny.tokenizer()).template
    Layout(template=template, longest=96).save(tmp_path)
    assert Layout.load(tmp_path / LAYOUT_FILE) == Layout(template=template, longest=96)
    (tmp_path / LAYOUT_FILE).write_text("{")
    with pytest.raises(ModelError, match=f"{LAYOUT_FILE} is not what `qa export` writes"):
        Layout.load(tmp_path / LAYOUT_FILE)
