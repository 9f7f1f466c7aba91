"""Every command of the Chinese page can be given as it stands; its links and Python hold too."""

import re
import shlex
from pathlib import Path

import pytest

from qa.cli.main import parse
from qa.cli.usage import EXAMPLES
from qa.presets import parse_config

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "qa" / "README.zh.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
LINES = [line for block in BLOCKS for line in block.replace("\\\n", "").splitlines() if line.strip()]


def test_it_is_short():
    assert len(TEXT.splitlines()) <= 150
    assert len(LINES) >= 15


@pytest.mark.parametrize("line", LINES)
def test_a_command_can_be_given(line):
    words = shlex.split(line, comments=True)
    if words[0] == "qa":
        parse(words[1:])
    elif words[0] == "accelerate":
        arguments = words[words.index("train_qa.py") + 1 :]
        earlier = arguments[0].endswith("config.json")  # of the command before
        parse_config(arguments[1:] if earlier else arguments)
    else:
        assert words[0] == "make"
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_its_python_compiles():
    for block in re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE):
        compile(block, "README.zh.md", "exec")


def test_the_commands_it_lists_are_all_that_there_are():
    listed = {
        name for row in re.findall(r"^\| (`[a-z].*?) \|", TEXT, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert set(EXAMPLES) - listed == {"cache", "export-checkpoint"}
