"""Documents per second, and the growth of memory, of a job on each engine; with a tiny model, so that the rest counts.

    python -m tests.benchmarks.engines [--documents 1000000] [--engines local ray spark] [--output FOLDER]

Memory is the largest resident set of any process that answers, sampled ten times a second: when a quarter of the
documents is done, and at the end. Files are compared with the first engine's. Engines that are not installed are
left out.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.contest import ROOT
from tests.support.predictors import saved

PACKAGES = {"local": "qa", "ray": "ray", "spark": "pyspark"}
PER_FILE = 50_000
NAMES = ("Ada", "Bo", "Cleo", "Dan", "Eve", "Finn", "Gro", "Hugo")
_MEBIBYTE = 1 << 20


class Measured(NamedTuple):
    """One engine's job."""

    seconds: float
    early: int
    """Bytes of the largest process when a quarter was done."""
    late: int
    """The same at the end."""
    digest: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--engines", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(), help="folder for engines.md")
    options = parser.parse_args()
    engines = [name for name in options.engines if importlib.util.find_spec(PACKAGES[name]) is not None]
    lines = ["| engine | documents/s | MiB at a quarter | MiB at the end | files |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        saved(work / "reader")
        write_documents(work / "documents", options.documents)
        tried = {name: measure(name, work, options.documents, options.workers) for name in engines}
    found = {name: one for name, one in tried.items() if one is not None}
    first = next(iter(found.values()), None)
    for name, one in found.items():
        same = "the same" if one.digest == first.digest else "DIFFERENT"
        sizes = f"{one.early / _MEBIBYTE:.0f} | {one.late / _MEBIBYTE:.0f}"
        lines.append(f"| {name} | {options.documents / one.seconds:.0f} | {sizes} | {same} |")
    text = "\n".join([*lines, ""])
    (options.output / "engines.md").write_text(text, encoding="utf-8")
    print(text)
    return int(len(found) < len(tried) or any(one.digest != first.digest for one in found.values()))


def write_documents(folder: Path, count: int) -> None:
    """Write short documents, each with its question."""
    folder.mkdir()
    chosen = random.Random(0)
    for begin in range(0, count, PER_FILE):
        with (folder / f"{begin:09d}.jsonl").open("w", encoding="utf-8") as file:
            for at in range(begin, min(begin + PER_FILE, count)):
                name = chosen.choice(NAMES)
                row = {"id": at, "question": "Who built it?", "context": f"House {at} was built by {name}."}
                file.write(f"{json.dumps(row)}\n")


def measure(engine: str, work: Path, documents: int, workers: int) -> Measured | None:
    """Run a job in a process of its own and watch it and its children; None: it failed, and that is told."""
    out = work / engine
    command = [sys.executable, "-m", "qa", "predict", str(work / "reader"), str(work / "documents"), str(out)]
    command += ["--engine", engine, "--keep", "id", "--device", "cpu"]
    command += [] if engine == "local" else ["--workers", str(workers)]
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": paths, "PYSPARK_PYTHON": sys.executable}
    began = time.monotonic()
    early = late = 0
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as job:
        while job.poll() is None:
            late = max(late, largest(job.pid))
            if lines_done(out) * 4 <= documents:
                early = late
            time.sleep(0.1)
    if job.returncode:
        print(f"{engine} ended with status {job.returncode}")
        return None
    seconds = time.monotonic() - began
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(out.glob("part-*")))).hexdigest()
    return Measured(seconds, early, late, digest)


def lines_done(out: Path) -> int:
    """Return about how many documents are answered, by the size of what is written."""
    done = 0
    for path in [*out.glob("part-*"), *out.glob(".part-*")]:
        with contextlib.suppress(OSError):
            done += path.stat().st_size
    return done // 230


def largest(root: int) -> int:
    """Return the bytes of the largest Python process among a process and all that it has started."""
    parents, sizes = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = (entry / "stat").read_text().rsplit(")", 1)
            parents[int(entry.name)] = int(fields[1].split()[1])
            if "java" not in fields[0]:
                sizes[int(entry.name)] = int(fields[1].split()[21]) * os.sysconf("SC_PAGE_SIZE")
    return max((size for process, size in sizes.items() if descends(process, root, parents)), default=0)


def descends(process: int, root: int, parents: dict[int, int]) -> bool:
    """Tell whether a process was started by another, or by one that it started."""
    while process and process != root:
        process = parents.get(process, 0)
    return process == root


if __name__ == "__main__":
    sys.exit(main())
