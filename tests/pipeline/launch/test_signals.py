"""Signals: the first asks the run to stop, also when the request cannot be passed on."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path

import pytest

from bronze.job.stop_signal import StopSignal
from bronze.storage.location import StorageLocation
from pipeline.launch.signals import SignalWatch, stop_on_signals
from tests.e2e.conftest import wait_until

TERM = signal.SIGTERM


@pytest.fixture
def stop(tmp_path: Path) -> StopSignal:
    return StopSignal(StorageLocation(str(tmp_path / "control")))


def test_signal_requests_stop(stop: StopSignal) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(TERM)
    with stop_on_signals(stop) as watch:
        assert watch.status is None
        os.kill(os.getpid(), TERM)
        wait_until(stop.is_requested, "the request to stop")
    assert watch.status == 128 + TERM
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(TERM)) == handlers


def test_no_signal_requests_no_stop(stop: StopSignal) -> None:
    with stop_on_signals(stop) as watch:
        pass
    assert watch.status is None
    assert not stop.is_requested()


def test_other_threads_take_no_signals(stop: StopSignal) -> None:
    handlers: list[object] = []

    def work() -> None:
        with stop_on_signals(stop):
            handlers.append(signal.getsignal(TERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(TERM)]


def test_unwritable_control_location_still_stops(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "control").touch()
    watch = SignalWatch(StopSignal(StorageLocation(str(tmp_path / "control"))))
    try:
        with caplog.at_level(logging.WARNING):
            watch.request(TERM)
    finally:
        watch.end()  # otherwise this process ends when the grace period is over
    assert watch.status == 128 + TERM
    assert "the run stops after its current wave" in caplog.text
