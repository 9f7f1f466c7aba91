"""What a run reports while it runs."""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports

if TYPE_CHECKING:
    from qa.tracking.run_tracker import RunTracker as RunTracker

__all__ = ["RunTracker"]

__getattr__ = lazy_exports(__name__, {"RunTracker": "run_tracker"})
