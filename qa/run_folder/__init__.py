"""What a run leaves behind."""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports

if TYPE_CHECKING:
    from qa.run_folder.folder import RunFolder as RunFolder

__all__ = ["RunFolder"]

__getattr__ = lazy_exports(__name__, {"RunFolder": "folder"})
