"""GPUs of one machine, shared out among jobs."""

import multiprocessing
from pathlib import Path

import pytest

from habits.mistakes import ParamsError
from habits.training import devices


@pytest.fixture(autouse=True)
def nobody_has_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in devices.CHOSEN:
        monkeypatch.delenv(name, raising=False)


def test_jobs_side_by_side_get_different_gpus() -> None:
    with devices.held(2, total=4) as first, devices.held(1, total=4) as second:
        assert (first, second) == ({"CUDA_VISIBLE_DEVICES": "0,1"}, {"CUDA_VISIBLE_DEVICES": "2"})
    with devices.held(4, total=4) as all_of_them:
        assert all_of_them == {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}


def hold(started: "multiprocessing.synchronize.Event") -> None:
    with devices.held(1, total=1):
        started.set()
        multiprocessing.Event().wait(60)


def test_a_killed_job_holds_nothing() -> None:
    context = multiprocessing.get_context("fork")
    started = context.Event()
    job = context.Process(target=hold, args=(started,))
    job.start()
    assert started.wait(30)
    job.kill()
    job.join()
    with devices.held(1, total=1, wait=0.05) as shown:
        assert shown == {"CUDA_VISIBLE_DEVICES": "0"}


def test_more_than_the_machine_has_is_refused() -> None:
    with pytest.raises(ParamsError, match="ask for 5 GPUs, this machine has 4"), devices.held(5, total=4):
        pass


@pytest.mark.parametrize("name", devices.CHOSEN)
def test_what_a_scheduler_chose_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "3")
    with devices.held(2, total=4) as shown:
        assert shown == {}
