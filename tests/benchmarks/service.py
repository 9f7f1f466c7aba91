"""Load a service of a model: fairness, then minutes of difficult clients; writes service.json and prints a table.

    python -m tests.benchmarks.service MODEL [--backend NAME] [--minutes 60] [--questions 200] [--output FOLDER]

Fairness compares the p99 of a small question alone with that beside clients who ask huge texts without end. The mixed
load is small questions, lists, searches, huge texts, clients that hang up, half-sent requests, and no HTTP at all.
On a machine that has little time for it, `--questions 0` leaves the first out, and `--timeout` makes the service wait.
After each tenth of the time all clients wait until the service rests, and its memory is taken: under load it
says how many large texts were being read at the moment, which on a busy machine varies with what else runs.
Exits with 1 where a bar is missed: p99 at most 5 times, no status but the wanted ones, no growth of memory above a
tenth between the rest after the first tenth of the time and any later one.
"""

import argparse
import contextlib
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil

TEXT = "The lighthouse of Skarholm was built in 1871 by Ragna Lund. It is 34 metres tall. "
SMALL = {"question": "Who built it?", "context": TEXT}
HUGE = {"question": "Who built it?", "context": TEXT * 6_000}
BAR_FAIRNESS, BAR_GROWTH = 5.0, 1.1
PATIENCE = 600.0
"""Seconds after which a client gives up: later than any service."""
THINKING = 0.5  # seconds at most between two requests of a client: without, the clients would take the machine
BROWSER = httpx.Client(timeout=PATIENCE, headers={"connection": "close"}, limits=httpx.Limits(max_connections=None))
"""What the clients share, since making one takes longer than asking; each request has a connection of its own."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model", help="folder of a trained model")
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--minutes", type=float, default=60.0, help="of mixed load")
    parser.add_argument("--questions", type=int, default=200, help="small ones of each half of fairness; 0: without it")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds that the service has for a request")
    parser.add_argument("--huge-clients", type=int, default=4)
    parser.add_argument("--output", type=Path, default=Path())
    options = parser.parse_args()
    with served(options.model, options.backend, options.timeout) as (url, process):
        fair = fairness(url, options.questions, options.huge_clients) if options.questions else None
        print(json.dumps(fair), flush=True)
        mixed = mixed_load(url, process, 60 * options.minutes)
    result = {"model": options.model, "backend": options.backend, "fairness": fair, "mixed": mixed}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "service.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))
    is_unfair = fair is not None and fair["ratio"] > BAR_FAIRNESS
    return int(is_unfair or mixed["growth"] > BAR_GROWTH or bool(mixed["unwanted"]))


@contextlib.contextmanager
def served(model: str, backend: str, timeout: float) -> Iterator[tuple[str, psutil.Process]]:
    words = [sys.executable, "-m", "qa", "serve", model, "--backend", backend, "--port", "0", "--access-log", "False"]
    words += ["--timeout", str(timeout)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().split()[-1], psutil.Process(server.pid)
        finally:
            server.terminate()


# --- fairness ---


def fairness(url: str, questions: int, huge_clients: int) -> dict[str, float]:
    """Ask small questions one by one, alone and beside huge texts; milliseconds."""
    timed(url, 20)
    alone = timed(url, questions)
    end = threading.Event()
    clients = [threading.Thread(target=ask_huge, args=(url, end)) for _ in range(huge_clients)]
    for one in clients:
        one.start()
    before, ends = windows_read(url), time.monotonic() + 300
    while windows_read(url) < before + 5 * huge_clients:  # they are tokenised, and the model reads them
        if time.monotonic() > ends:
            end.set()
            raise TimeoutError("no huge text was read in 300 s: the machine is busy, or its service is")
        end.wait(0.05)
    beside = timed(url, questions)
    end.set()
    for one in clients:
        one.join()
    p99 = [float(np.percentile(took, 99)) for took in (alone, beside)]
    return {
        "huge_clients": huge_clients,
        "alone_p50_ms": float(np.median(alone)),
        "alone_p99_ms": p99[0],
        "beside_p50_ms": float(np.median(beside)),
        "beside_p99_ms": p99[1],
        "ratio": p99[1] / p99[0],
    }


def windows_read(url: str) -> float:
    lines = BROWSER.get(f"{url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("qa_pass_windows_sum"))


def timed(url: str, questions: int) -> list[float]:
    took = []
    with httpx.Client(base_url=url, timeout=120) as client:
        for _ in range(questions):
            began = time.perf_counter()
            client.post("/answer", json=SMALL).raise_for_status()
            took.append(1e3 * (time.perf_counter() - began))
    return took


def ask_huge(url: str, end: threading.Event) -> None:
    """Ask for a huge text again and again; hang up at the end."""
    body = json.dumps(HUGE).encode()
    while not end.is_set():
        with connected(url) as connection:
            connection.sendall(post(body))
            connection.settimeout(0.2)
            while not end.is_set():
                with contextlib.suppress(TimeoutError):
                    connection.recv(65_536)
                    break


# --- mixed load ---


def small(url: str) -> object:
    return BROWSER.post(f"{url}/answer", json=SMALL | {"top_k": random.randint(1, 20)}).status_code


def many(url: str) -> object:
    inputs = [{"question": "How tall is it?", "context": TEXT * random.randint(1, 40)} for _ in range(16)]
    return BROWSER.post(f"{url}/answer", json={"inputs": inputs}).status_code


def search(url: str) -> object:
    contexts = [TEXT * random.randint(1, 20) for _ in range(32)]
    return BROWSER.post(f"{url}/search", json={"question": "Who?", "contexts": contexts}).status_code


def huge(url: str) -> object:
    return BROWSER.post(f"{url}/answer", json=HUGE).status_code


def wrong(url: str) -> object:
    body = {"question": "?", "context": "", "file": "/etc/passwd"}
    return BROWSER.post(f"{url}/answer", json=body).status_code


def pages(url: str) -> object:
    paths = ("", "page.js", "health", "ready", "metrics")
    return max(BROWSER.get(f"{url}/{path}").status_code for path in paths)


def gone(url: str) -> object:
    """Ask for a long text, and hang up while it is read."""
    body = json.dumps({"inputs": [{"question": "Who?", "context": TEXT * 200}] * 8}).encode()
    with connected(url) as connection:
        connection.sendall(post(body))
        time.sleep(random.random() / 5)
    return "hung up"


def half(url: str) -> object:
    """Send half a request, and wait until the other side closes."""
    with connected(url) as connection:
        connection.sendall(b"POST /answer HTTP/1.1\r\nHost: x\r\n")
        return drained(connection)


def noise(url: str) -> object:
    """Send what is no HTTP."""
    with connected(url) as connection:
        connection.sendall(random.randbytes(2_000) + b"\r\n\r\n")
        return drained(connection)


WANTED: dict[Callable[[str], object], set[object]] = {
    small: {200},
    many: {200, 408, 503},
    search: {200, 408, 503},
    huge: {200, 408, 503},
    wrong: {422},
    pages: {200, 503},
    gone: {"hung up"},
    half: {"closed"},
    noise: {"closed"},
}
"""Clients, and what may come of them: an overloaded service says so by 503, and a huge text may take too long (408)."""
CLIENTS = {small: 3, huge: 2, half: 4}  # at the same time; of the others one


def mixed_load(url: str, process: psutil.Process, seconds: float) -> dict[str, object]:
    """Load for ten parts of the time, and let the service rest after each."""
    outcomes: dict[str, Counter[object]] = defaultdict(Counter)
    took: dict[str, list[float]] = defaultdict(list)
    samples, rests, began = [], [state(process)], time.monotonic()
    for part in range(1, 11):
        samples += load(url, process, began + seconds * part / 10, outcomes, took)
        rests.append(rested(process))
        print(json.dumps({"rest": rests[-1], "under_load": samples[-1]}), flush=True)
    megabytes = [one["megabytes"] for one in rests]
    unwanted = {
        kind.__name__: {str(one): count for one, count in outcomes[kind.__name__].items() if one not in wanted}
        for kind, wanted in WANTED.items()
    }
    return {
        "minutes": seconds / 60,
        "rests": rests,
        "under_load": samples,
        "growth": max(megabytes[2:]) / megabytes[1],
        "outcomes": {kind: {str(one): count for one, count in found.items()} for kind, found in outcomes.items()},
        "p50_ms": {kind: float(np.median(values)) for kind, values in took.items()},
        "p99_ms": {kind: float(np.percentile(values, 99)) for kind, values in took.items()},
        "unwanted": {kind: found for kind, found in unwanted.items() if found},
    }


def load(
    url: str,
    process: psutil.Process,
    end: float,
    outcomes: dict[str, Counter[object]],
    took: dict[str, list[float]],
) -> list[dict[str, float]]:
    """Run all clients to the end, and until each has what it asked for; the states on the way."""

    def client(kind: Callable[[str], object]) -> None:
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                outcome = kind(url)
            except (httpx.HTTPError, OSError) as error:
                outcome = type(error).__name__
            outcomes[kind.__name__][outcome] += 1
            took[kind.__name__].append(1e3 * (time.perf_counter() - began))
            time.sleep(THINKING * random.random())

    threads = [threading.Thread(target=client, args=(kind,)) for kind in WANTED for _ in range(CLIENTS.get(kind, 1))]
    for one in threads:
        one.start()
    samples = [state(process)]
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 10.0))
        samples.append(state(process))
    for one in threads:
        one.join()
    return samples


def rested(process: psutil.Process) -> dict[str, float]:
    """Wait until the service has done what clients left behind; its state."""
    ends, quiet = time.monotonic() + PATIENCE, 0
    while quiet < 30:
        if time.monotonic() > ends:
            raise TimeoutError(f"the service did not come to rest in {PATIENCE:.0f} s")
        quiet = 0 if works(process) else quiet + 1
        time.sleep(0.1)
    return state(process)


def works(process: psutil.Process) -> bool:
    """Return whether a thread runs, or waits for a core, besides the event loop's, which looks around all the time."""
    threads = [one for one in Path(f"/proc/{process.pid}/task").iterdir() if one.name != str(process.pid)]
    try:
        return any((one / "stat").read_text().rpartition(")")[2].split()[0] in "RD" for one in threads)
    except FileNotFoundError:  # one has just ended
        return True


def state(process: psutil.Process) -> dict[str, float]:
    with process.oneshot():
        return {
            "megabytes": process.memory_info().rss / 1e6,
            "files": process.num_fds(),
            "threads": process.num_threads(),
        }


# --- bare connections ---


def connected(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def post(body: bytes) -> bytes:
    head = "POST /answer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


def drained(connection: socket.socket) -> str:
    with contextlib.suppress(ConnectionError):
        while connection.recv(65_536):
            pass
    return "closed"


def table(result: dict[str, dict[str, dict[str, object]]]) -> str:
    fair, mixed = result["fairness"], result["mixed"]
    ends = mixed["rests"][0], mixed["rests"][-1]
    files, threads = (" and ".join(f"{end[name]:.0f}" for end in ends) for name in ("files", "threads"))
    memory = ", ".join(f"{one['megabytes']:.0f}" for one in mixed["rests"])
    most = max(one["megabytes"] for one in mixed["under_load"])
    lines = fairness_lines(fair) if fair else []
    lines += [
        f"before and after {mixed['minutes']:.0f} minutes: files {files}, threads {threads}",
        f"memory before, and at rest after each tenth: {memory} MB; under load at most {most:.0f} MB",
        f"growth of memory at rest since the first tenth: {mixed['growth']:.2f}; wanted at most {BAR_GROWTH}",
    ]
    lines += [
        f"| {kind} | {mixed['outcomes'][kind]} | {mixed['p50_ms'][kind]:.0f} | {mixed['p99_ms'][kind]:.0f} |"
        for kind in mixed["outcomes"]
    ]
    return "\n".join([*lines, f"unwanted: {mixed['unwanted'] or 'nothing'}"])


def fairness_lines(fair: dict[str, float]) -> list[str]:
    beside = f"beside {fair['huge_clients']} clients with huge texts"
    return [
        f"small question, p99: {fair['alone_p99_ms']:.0f} ms alone, {fair['beside_p99_ms']:.0f} ms {beside}",
        f"that is {fair['ratio']:.1f} times as long; wanted at most {BAR_FAIRNESS:.0f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
