"""Backends side by side."""

from dataclasses import replace

import pytest

from qa.config import DataConfig
from qa.data.examples import load_examples, take
from qa.errors import ExportError
from qa.inference.comparison import TOLERANCE, compare
from qa.modeling.reader import load_reader
from tests.support import tiny
from tests.support.predictors import finding_all


def examples(count=12):
    return take(load_examples("sample", split="validation", config=DataConfig()), count)


def test_the_comparison_has_a_line_for_each_backend(exported):
    reports = {report.backend: report for report in compare(load_reader(str(exported)), exported, examples())}
    assert list(reports) == ["torch", "onnx", "onnx_int8"]
    assert reports["torch"].logit_difference == 0
    assert reports["onnx"].equal_answers == 100
    assert 0 < reports["onnx"].logit_difference <= TOLERANCE
    assert reports["onnx"].logit_difference < reports["onnx_int8"].logit_difference
    assert reports["onnx_int8"].megabytes < reports["onnx"].megabytes
    assert reports["onnx"].f1 == reports["torch"].f1
    assert all(report.milliseconds > 0 for report in reports.values())


def test_readers_of_conditional_ends_are_compared_by_all_that_they_say(conditional_exported):
    reports = compare(load_reader(str(conditional_exported)), conditional_exported, examples(4))
    assert [report.equal_answers for report in reports][:2] == [100, 100]
    assert 0 < reports[1].logit_difference <= TOLERANCE


def test_readers_that_find_all_answers_are_compared_by_the_best(exported, tmp_path):
    folder = finding_all(exported, tmp_path / "tokens")
    reports = compare(load_reader(str(folder)), folder, examples(4))
    assert [report.equal_answers for report in reports][:2] == [100, 100]


def test_other_weights_than_the_files_are_an_error(exported):
    other = replace(load_reader(str(exported)), model=tiny.model(seed=1))
    with pytest.raises(ExportError, match="logits of the ONNX file differ by"):
        compare(other, exported, examples(2))
