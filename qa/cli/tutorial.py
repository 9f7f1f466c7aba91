"""`qa tutorial`: the notebook that goes the whole way, copied out of the package."""

from importlib.resources import files

from qa.cli.display import print_line
from qa.cli.start_flags import Tutorial
from qa.errors import StorageError
from qa.files import write_whole


def run(arguments: Tutorial) -> None:
    """Copy the notebook.

    Raises:
        StorageError: the file is there already, or cannot be written.

    """
    if arguments.out.exists():
        raise StorageError(f"{arguments.out} is there already; wanted a new file")
    write_whole(arguments.out, (files("qa") / "tutorial.ipynb").read_text(encoding="utf-8"))
    print_line(f"{arguments.out}: open it with Jupyter or VS Code")
