"""The machine: knows accelerate, nothing of question answering."""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports

if TYPE_CHECKING:
    from qa.runtime.accelerator import start_accelerator as start_accelerator
    from qa.runtime.collectives import require_same_config as require_same_config
    from qa.runtime.ending import end_process as end_process
    from qa.runtime.ending import exit_status as exit_status
    from qa.runtime.profiling import profiled as profiled
    from qa.runtime.stopping import StopRequest as StopRequest

__all__ = ["StopRequest", "end_process", "exit_status", "profiled", "require_same_config", "start_accelerator"]

__getattr__ = lazy_exports(
    __name__,
    {
        "StopRequest": "stopping",
        "end_process": "ending",
        "exit_status": "ending",
        "profiled": "profiling",
        "require_same_config": "collectives",
        "start_accelerator": "accelerator",
    },
)
