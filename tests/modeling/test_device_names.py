"""Names of devices and precisions, where PyTorch may be missing."""

import pytest
import torch

from qa.errors import ConfigError
from qa.modeling.device_names import names_cpu, precision_name


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("cpu", True),
        ("cpu:0", True),
        (torch.device("cpu"), True),
        ("cuda", False),
        ("cpus", False),
        (0, False),
        ("", False),
    ],
)
def test_the_cpu_is_known_by_any_name(name, wanted):
    assert names_cpu(name) is wanted


@pytest.mark.parametrize(
    ("name", "wanted"), [(None, "float32"), ("torch.float16", "float16"), (torch.bfloat16, "bfloat16")]
)
def test_a_precision_is_called_as_pytorch_does(name, wanted):
    assert precision_name(name) == wanted


def test_another_precision_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match=r"dtype is 'int8'; wanted one of float32, bfloat16, float16, float64"):
        precision_name("int8")
