"""What must not be imported, or even installed, for what most people do."""

import json
import subprocess
import sys

import pytest

LOOK = """
import json, sys
sys.modules.update(dict.fromkeys({missing}))
{code}
print(json.dumps([name for name, module in sys.modules.items() if module]))
"""


def imported(code, missing=()):
    """Return what is imported once the code has run where some packages are missing."""
    words = [sys.executable, "-c", LOOK.format(missing=list(missing), code=code)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import qa; qa.__version__", {"torch", "transformers", "datasets", "pydantic", "numpy", "tyro"}),
        ("from qa.cli.main import main; main(['--version'])", {"torch", "transformers", "datasets", "numpy", "rich"}),
        ("import qa.metrics; qa.metrics.score({'1': 'a'}, {'1': ['a']})", {"torch", "datasets", "evaluate", "pyarrow"}),
        ("import qa.cli.score", {"torch", "transformers", "evaluate", "accelerate"}),
    ],
)
def test_little_is_imported_for_little(code, absent):
    assert not imported(code) & absent


@pytest.mark.slow
def test_asking_and_serving_need_nothing_of_what_training_needs():
    """Neither to be installed nor, where it is installed, to be imported by us."""
    missing = {"torch", "accelerate", "datasets", "evaluate", "wandb"}
    imported("import qa.cli.ask, qa.cli.serve, qa.serving.server, qa.inference.onnx_reader", missing)
