"""What processes tell each other, here threads with one store: a failure, an arrival, silence."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from torch.distributed import DistNetworkError, HashStore

from qa.runtime import peers as peering
from qa.runtime.peers import Peers, find_peers, peers

SOON = 30


@pytest.fixture
def ended(monkeypatch):
    """The statuses that processes ended with, each with an event to wait for."""

    class Ended(list):
        happened = threading.Event()

        def __call__(self, status):
            self.append(status)
            self.happened.set()

    found = Ended()
    found.happened.clear()
    monkeypatch.setattr(peering, "exit_at_once", found)
    monkeypatch.setattr(peering, "ASK_SECONDS", 0.01)
    return found


@pytest.fixture
def run():
    """A function that makes the processes of a run; they leave at the end of the test."""
    made = []

    def processes(count, store=None):
        store = store or HashStore()
        made.extend(Peers(store, process=at, processes=count) for at in range(count))
        return made[-count:]

    yield processes
    for one in made:
        one.leave(failed=False)


def test_the_first_who_fails_is_the_one_that_is_told(run):
    first, second = run(2)
    own = first.announce(3, "error: out of luck")
    assert (own.process, own.status, own.text) == (0, 3, "error: out of luck")
    assert second.announce(1, "error: connection lost") == own


def test_all_wait_for_the_last_one(run):
    here, there = run(2)
    came = []

    def meet(one, name):
        came.append(f"{name} comes")
        one.meet()
        came.append(f"{name} goes")

    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            came.clear()
            list(pool.map(meet, (here, there), "ab", timeout=SOON))
            assert {*came[:2]} == {"a comes", "b comes"}


def test_a_process_is_ended_for_anothers_sake_with_its_status(run, ended, caplog):
    first, second = run(2)
    words = []
    second.last_words.append(words.append)
    first.announce(7, "Traceback\n\nZeroDivisionError: by us")
    assert ended.happened.wait(SOON)
    assert (ended, words) == ([7], [7])
    assert "ended with process 0: ZeroDivisionError: by us" in caplog.text


def test_a_process_whose_own_error_comes_meanwhile_is_not_ended(run, ended):
    first, second = run(2)
    first.announce(7, "error: one")
    second.announce(8, "error: other")
    assert not ended.happened.is_set()


def test_a_process_that_is_not_heard_of_ends_the_run(ended, monkeypatch, caplog):
    monkeypatch.setattr(peering, "SILENT_SECONDS", 0.05)
    alone = Peers(HashStore(), process=0, processes=2)
    assert ended.happened.wait(SOON)
    alone.leave(failed=False)
    assert ended == [1]
    assert "ended with process 1: error: process 1 has not been heard of" in caplog.text


def test_a_store_that_has_gone_is_told_as_the_end_of_process_0(ended, caplog):
    class Gone:
        def clone(self):
            return self

        def __getattr__(self, _):
            def lost(*_):
                raise DistNetworkError("connection reset by peer")

            return lost

    one = Peers(Gone(), process=1, processes=2)
    assert ended.happened.wait(SOON)
    assert "error: the connection to process 0 is lost: it has ended" in caplog.text
    own = one.announce(2, "error: mine")
    assert (own.process, own.text) == (1, "error: mine")
    one.leave(failed=True)


def test_a_process_without_a_group_has_no_others():
    find_peers()
    assert peers() is None


def test_a_later_run_of_the_same_processes_hears_nothing_of_an_earlier_one(monkeypatch):
    """Else its first meetings would be over before anybody has come."""
    store, found = HashStore(), []
    monkeypatch.setattr(peering, "_get_default_store", lambda: store)
    monkeypatch.setattr(peering, "Peers", lambda own, **_: found.append(own))
    group = SimpleNamespace(WORLD=SimpleNamespace(rank=lambda: 0, size=lambda: 2))
    monkeypatch.setattr("torch.distributed.group", group)
    for _ in range(2):
        find_peers()
    first, second = found
    first.set("qa/meeting/1/go", "go")
    assert not second.check(["qa/meeting/1/go"])
