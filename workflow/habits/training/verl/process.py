"""Run one of verl's trainers as a process that ends when this one does, and look at it while it runs.

Writes verl's output to ``verl.log`` in the attempt's folder, its metrics to ``metrics.jsonl`` and graded
rollouts beside it. Ray keeps its sockets in a temporary folder, removed with the run.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from habits.cluster_params import Verl
from habits.training import devices
from habits.training.interpreter import dies_with_parent, gpu_python, package_environment
from habits.training.verl.reward import FOLDER

LOOK_EVERY = 0.5  # seconds
SHOWN = 30  # lines of verl's output that an error repeats


class VerlFailedError(RuntimeError):
    """verl's trainer ended with an error; the message has the end of its output and the log's name."""


def run(
    module: list[str], config: Path, attempt: Path, verl: Verl, gpus: int, look: Callable[[], None]
) -> None:
    """Run ``python -m module`` with a written configuration until it ends; ``look()`` is called meanwhile.

    Raises:
        VerlFailedError: the trainer failed.
    """
    arguments = ["--config-path", str(config.parent), "--config-name", config.stem]
    quiet = [f"hydra.run.dir={attempt}", "hydra.output_subdir=null", "hydra/job_logging=disabled"]
    python = gpu_python() if verl.platform == "cuda" else sys.executable
    command = [python, "-m", *module, *arguments, *quiet]
    wanted = gpus if verl.platform == "cuda" else 0
    with (
        devices.held(wanted) as shown,
        ray_folder(attempt.parent) as ray,
        (attempt / "verl.log").open("ab") as log,
    ):
        process = subprocess.Popen(
            command,
            env=environment(verl, attempt, ray) | shown,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dies_with_parent,
        )
        try:
            while process.poll() is None:
                time.sleep(LOOK_EVERY)
                look()
            look()
        finally:
            _end(process)
    if process.returncode:
        said = (attempt / "verl.log").read_text(errors="replace").splitlines()
        raise VerlFailedError(
            f"verl ended with code {process.returncode}; all it said is in {attempt / 'verl.log'}. The end:\n"
            + "\n".join(said[-SHOWN:])
        )


class ray_folder:  # noqa: N801
    """A short folder for Ray's sockets (their paths may have 107 characters), removed in the end.

    Its name stands in ``scratch``, so that what a killed attempt left is removed by the next one.
    """

    def __init__(self, scratch: Path) -> None:
        self.note = scratch / "ray_folder"

    def __enter__(self) -> Path:
        if self.note.exists():
            shutil.rmtree(self.note.read_text(), ignore_errors=True)
        self.folder = Path(tempfile.mkdtemp(prefix="habits-ray-"))
        self.note.write_text(str(self.folder))
        return self.folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.note.unlink(missing_ok=True)


def environment(verl: Verl, attempt: Path, ray: Path) -> dict[str, str]:
    """Environment of verl's processes."""
    found = package_environment() | {
        FOLDER: str(attempt),
        "VERL_FILE_LOGGER_PATH": str(attempt / "metrics.jsonl"),
        "RAY_AUTH_MODE": "disabled",  # else Ray writes a token to the home folder
        "RAY_TMPDIR": str(ray),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # its default of 15 starves training wherever other work runs beside it
        "HYDRA_FULL_ERROR": "1",
        "HF_DATASETS_CACHE": str(ray / "datasets"),
    }
    if verl.platform == "cpu":
        found |= CPU
        found.pop("CUDA_VISIBLE_DEVICES", None)  # Ray rejects an empty one
    return found


CPU = {
    "VERL_PLATFORM": "cpu",
    "VERL_ENGINE_DEVICE": "cuda",  # engines are registered for cuda and npu; tensors stay on the processor
    "VERL_USE_EXTERNAL_MODULES": "habits.training.verl.cpu_platform",
}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the trainer and its processes, if they still run."""
    for sent, patience in ((signal.SIGTERM, 15.0), (signal.SIGKILL, 15.0)):
        if process.poll() is not None:
            return
        os.killpg(process.pid, sent)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
