"""What the commands that begin take: their part of --help."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Fine-tune the embedded model on the embedded data, and show what it learned: three minutes on two cores.

    Neither a GPU nor a network is needed. The last lines are the commands to go on with.
    """

    out: Path = Path("runs/demo")
    """Run folder; an earlier demo there is replaced."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Fine-tune or evaluate: the page train_qa.py with all of its flags, see `qa train --help`.

    On several devices: accelerate launch [--config_file FILE] -m train_qa, with the same arguments.
    """

    arguments: Positional[tuple[str, ...]] = ()
    """Preset or config file, and flags."""


@dataclass(frozen=True, kw_only=True)
class Configs:
    """Write the launch configurations for `accelerate launch --config_file`: one for each kind of machine."""

    out: Positional[Path] = Path("accelerate_configs")
    """Folder that gets the files."""
    overwrite: bool = False
    """Replace files that are there."""


@dataclass(frozen=True, kw_only=True)
class Tutorial:
    """Copy the notebook that goes the whole way: data, windows, labels, training, answers, scores, asking.

    It takes some minutes on two cores, with data and model that the package carries.
    """

    out: Positional[Path] = Path("tutorial.ipynb")
    """File to write."""
