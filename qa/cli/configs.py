"""`qa configs`: the launch configurations of accelerate and the job for SLURM, copied out of the package."""

from importlib.resources import files

from qa.cli.display import print_line, print_table
from qa.cli.start_flags import Configs
from qa.errors import StorageError
from qa.files import write_whole


def run(arguments: Configs) -> None:
    """Copy the files, and say what each is for.

    Raises:
        StorageError: a file is there already, cannot be written, or the package has none.

    """
    found = sorted((files("qa") / "accelerate_configs").iterdir(), key=lambda one: one.name)
    texts = {one.name: one.read_text(encoding="utf-8") for one in found if one.name.endswith((".yaml", ".sh"))}
    there = [str(arguments.out / name) for name in texts if (arguments.out / name).exists()]
    if there and not arguments.overwrite:
        raise StorageError(f"{', '.join(there)}: there already; wanted another folder, or --overwrite")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(arguments.out / name, text)
    print_table(("file", "for"), [(name, _purpose(text)) for name, text in texts.items()])
    print_line(f"use one: accelerate launch --config_file {arguments.out / 'cpu.yaml'} -m train_qa --help")


def _purpose(text: str) -> str:
    """Return what a file's first comment says."""
    lines = (line for line in text.splitlines() if not line.startswith("#!"))
    return next(lines).lstrip("# ")
