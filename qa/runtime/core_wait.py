"""How long this process waited for a core that others had."""

import logging
from pathlib import Path

log = logging.getLogger(__name__)

MUCH = 0.2
"""Share of the time that is worth a word."""
_THREADS = Path("/proc/self/task")


class CoreWait:
    """Tells how much of the time in which its threads could have run this process had no core for them.

    The threads of a matrix product wait for one another, so that a neighbour that has one core of two halves the speed
    or worse: threads that spin meanwhile take the time from the one that they wait for.
    """

    def __init__(self, threads: Path = _THREADS, *, computes: bool = True) -> None:
        """Begin now.

        Args:
            threads: folder of the process's threads, where Linux tells how long each ran and waited.
            computes: whether the model runs on these cores, and not on a GPU.

        """
        self._threads, self._advises = threads, computes
        self._before = _scheduled(threads)

    def take(self) -> float | None:
        """Return the share since the last call, from 0 to 1; None where the system does not tell it.

        Of a thread that ended meanwhile nothing is counted.
        """
        before, self._before = self._before, _scheduled(self._threads)
        ran, waited = (
            sum(now[at] - before.get(thread, (0, 0))[at] for thread, now in self._before.items()) for at in (0, 1)
        )
        return waited / (ran + waited) if ran + waited > 0 else None

    def values(self) -> dict[str, float]:
        """Return what `take` does, under its name in history and trackers; say once what helps where it is much."""
        share = self.take()
        if share is None:
            return {}
        if share >= MUCH and self._advises:
            self._advises = False
            log.warning(
                "other processes have the cores: this one's threads were ready %.0f %% of the time without one, and "
                "wait for one another; fewer threads (--threads), or ones that sleep while they wait "
                "(OMP_WAIT_POLICY=passive in the environment), are faster beside others",
                100 * share,
            )
        return {"core_wait_share": share}


def _scheduled(threads: Path) -> dict[str, tuple[int, int]]:
    """Return the nanoseconds that each thread ran, and was ready to run but did not."""
    found = {}
    for file in threads.glob("*/schedstat"):
        try:
            ran, waited, _ = file.read_text(encoding="ascii").split()
        except (OSError, ValueError):  # the thread has ended
            continue
        found[file.parent.name] = (int(ran), int(waited))
    return found
