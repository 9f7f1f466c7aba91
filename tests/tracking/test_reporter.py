"""A tracker that fails or hangs does not stop the run."""

import itertools
import threading
import time

from qa.tracking import reporter as reporting
from qa.tracking.reporter import Outcome, Reporter


class RecordingTracker:
    """A service that keeps what it gets; `behaviour` is what it does when it is called."""

    name, address, upload_command = "recording", None, None

    def __init__(self, behaviour=lambda: None):
        self.behaviour, self.calls, self.finished = behaviour, [], None

    def _called(self, *call):
        self.behaviour()
        self.calls.append(call)

    def log(self, values, step):
        self._called("log", step, values)

    def table(self, name, columns, rows, step):
        self._called("table", step, name, columns, rows)

    def summary(self, values):
        self._called("summary", values)

    def model(self, folder, data, facts):
        self._called("model", folder, data, facts)

    def finish(self, outcome):
        self.finished = outcome


def test_values_arrive_in_order_and_the_tracker_is_closed():
    tracker = RecordingTracker(lambda: time.sleep(0.001))
    reporter = Reporter(tracker)
    for step in range(50):
        reporter.log({"loss": float(step)}, step)
    reporter.table("predictions", ("id",), [["q0"]], 50)
    reporter.summary({"best/f1": 1.0})
    reporter.finish(Outcome())
    assert tracker.calls == [
        *(("log", step, {"loss": float(step)}) for step in range(50)),
        ("table", 50, "predictions", ("id",), [["q0"]]),
        ("summary", {"best/f1": 1.0}),
    ]
    assert tracker.finished == Outcome()


def test_tracker_that_fails_is_reported_once_and_does_not_stop_training(caplog):
    calls = itertools.count()

    def behaviour():
        if next(calls) < 5:
            raise ConnectionError("the service is down")

    tracker = RecordingTracker(behaviour)
    reporter = Reporter(tracker)
    for step in range(6):
        reporter.log({}, step)
    reporter.finish(Outcome())
    assert caplog.text.count("tracker recording failed: the service is down") == 1
    assert len(caplog.records) == 1
    assert tracker.calls == [("log", 5, {})]  # what the service takes again, it gets
    assert tracker.finished == Outcome()


def test_tracker_that_hangs_does_not_stop_training(monkeypatch, caplog):
    monkeypatch.setattr(reporting, "MOST_PENDING", 10)
    monkeypatch.setattr(reporting, "FINISH_SECONDS", 0.2)
    release = threading.Event()
    reporter = Reporter(RecordingTracker(release.wait))
    for step in range(100):  # would wait for ever, as the service does
        reporter.log({}, step)
    reporter.finish(Outcome())
    assert len(caplog.records) == 1
    assert "tracker recording does not answer" in caplog.text
    release.set()


def test_a_run_that_something_waits_for_waits_less_for_its_trackers(monkeypatch, caplog):
    """A launcher gives a process thirty seconds after its signal, and a user who stops a run wants it to end."""
    monkeypatch.setattr(reporting, "FINISH_SECONDS", 1e6)
    monkeypatch.setattr(reporting, "HURRIED_SECONDS", 0.1)
    for outcome in (Outcome(status=1), Outcome(preempted=True)):
        release = threading.Event()
        tracker = RecordingTracker(release.wait)
        reporter = Reporter(tracker)
        reporter.log({}, 1)
        reporter.finish(outcome)
        release.set()
    assert caplog.text.count("did not finish within 0 s") == 2
