"""What the machine uses while a run runs, as CodeCarbon tells: a file with a line whenever it is asked, by attempts.

GPUs count their energy. So does a CPU where the system lets its RAPL counters be read (Linux: root); elsewhere
CodeCarbon estimates its part from load and nominal power, and memory's always from its size. What is counted is the
machine with all that runs on it. No network is needed.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qa.errors import StorageError

ENERGY_FILE = "energy.jsonl"
"""Name of the file in a run folder."""
_SUMMED = ("cpu_energy", "gpu_energy", "ram_energy", "emissions")


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What all attempts at a run used together."""

    attempts: int
    cpu: float
    """In kilowatt-hours, as the next two."""
    gpu: float
    memory: float
    emissions: float
    """In kilograms of carbon dioxide, or what warms as much."""
    country: str | None
    """Whose electricity it was; None: the world's mean."""
    version: str
    """Of CodeCarbon."""

    @property
    def total(self) -> float:
        """In kilowatt-hours."""
        return self.cpu + self.gpu + self.memory


class EnergyMeter:
    """Counts from now on; one per machine, since each counts the whole machine.

    CODECARBON_COUNTRY_ISO_CODE (FRA, USA …) says whose electricity it is, as CodeCarbon's other variables set it up.
    """

    def __init__(self, file: Path) -> None:
        """Start to count.

        Raises:
            ImportError: CodeCarbon is not installed.

        """
        from codecarbon import OfflineEmissionsTracker  # noqa: PLC0415  # an extra

        logging.getLogger("codecarbon").setLevel(logging.ERROR)  # before it says what it finds
        self._file, self._attempt = file, datetime.now(UTC).isoformat()
        self._meter = OfflineEmissionsTracker(output_methods=[], output_handlers=[self], log_level="error")
        self._meter.start()

    def read(self) -> None:
        """Write down what was used so far, so that a run that is killed has counted too."""
        self._meter.flush()

    def stop(self) -> None:
        """Write down the last reading, and count no more."""
        self._meter.stop()

    def out(self, total: Any, _delta: Any) -> None:  # noqa: ANN401  # CodeCarbon's own type, from an extra
        """Take a reading from CodeCarbon, which calls its handlers so."""
        names = (*_SUMMED, "duration", "country_name", "codecarbon_version")
        line = {"attempt": self._attempt, **{name: getattr(total, name) for name in names}}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def live_out(self, total: Any, delta: Any) -> None:  # noqa: ANN401
        """Take no notice of readings that nobody asked for."""

    def exit(self) -> None:
        """Have nothing to close."""


def read_energy(file: Path) -> Energy | None:
    """Add up the last readings of all attempts; None where none was counted.

    A last line that a kill cut is left out.

    Raises:
        StorageError: the file cannot be read.

    """
    try:
        lines = file.read_text(encoding="utf-8").split("\n")[:-1]
        readings: dict[str, Mapping[str, Any]] = {one["attempt"]: one for one in map(json.loads, filter(None, lines))}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StorageError(f"cannot read {file}: {error}") from error
    if not readings:
        return None
    cpu, gpu, memory, emissions = (sum(one[name] for one in readings.values()) for name in _SUMMED)
    *_, last = readings.values()
    return Energy(
        attempts=len(readings),
        cpu=cpu,
        gpu=gpu,
        memory=memory,
        emissions=emissions,
        country=last["country_name"],
        version=last["codecarbon_version"],
    )
