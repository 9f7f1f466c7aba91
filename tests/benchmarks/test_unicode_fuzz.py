"""The fuzz over all scripts: what it says of a few texts, and where it ends."""

import pytest

from tests.benchmarks import unicode_fuzz
from tests.support import promises

FEW = ["--texts", "5", "--longest", "4", "--family", "bert", "robbert"]


def test_it_counts_the_labels_of_every_family(capsys):
    unicode_fuzz.main([*FEW, "--begin", "8000"])
    said = capsys.readouterr().out
    assert "5 texts from 8000 on" in said
    assert "5 texts x 2 families" in said
    assert "nothing broke" in said
    assert said.count("0 narrower") == 2


def test_it_ends_with_the_first_promise_that_is_broken_and_says_where(capsys, monkeypatch):
    monkeypatch.setattr(promises, "offset_faults", lambda *_: [(0, "a hole")])
    with pytest.raises(AssertionError, match="a hole"):
        unicode_fuzz.main(FEW)
    assert "bert broke a promise among the texts from 0 on" in capsys.readouterr().out
