"""The layout that lies beside an exported model."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from qa.errors import ModelError
from qa.features.pair_template import PairTemplate

LAYOUT_FILE = "layout.json"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a model is to be given: saved beside an exported one, whose rounding would blur what asking it finds."""

    template: PairTemplate
    longest: int | None
    """Longest window that it takes, in tokens; None: any."""

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        (folder / LAYOUT_FILE).write_bytes(TypeAdapter(Layout).dump_json(self, indent=2))

    @classmethod
    def load(cls, path: Path) -> "Layout":
        """Read what `save` wrote.

        Raises:
            ModelError: the file holds something else.

        """
        try:
            found: Layout = TypeAdapter(Layout).validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ModelError(f"{path} is not what `qa export` writes: {error}") from error
        return found
