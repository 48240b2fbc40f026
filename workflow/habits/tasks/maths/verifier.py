"""Whether two answers are the same mathematics, by math-verify in a process that can be killed.

math-verify parses LaTeX with a grammar (only that part of it is used: its parser of plain expressions is
sympy's, which evaluates text) and compares with sympy, which may take for ever. Its own time limit is a
signal, for main threads only. Here a worker process answers one question after the other; one that takes too
much processor time or memory is killed with its question and replaced.
"""

from __future__ import annotations

import json
import logging
import math
import resource
import select
import signal
import subprocess
import sys
from types import TracebackType
from typing import IO, Literal

from habits.artifacts import ArtifactError

Comparison = Literal["equal", "different", "unparsable", "timed_out"]
SECONDS = 5
WAIT = 20  # by the clock, times as long: a busy machine must not change what a comparison comes to
START_SECONDS = 300.0
MEMORY = 4 * 2**30
MAX_TEXT = 300
READY = "ready\n"


class Verifier:
    """Compares answers in a worker process; use it as a context manager, or `close` it.

    Args:
        seconds: processor time that a comparison may take.
    """

    def __init__(self, seconds: int = SECONDS) -> None:
        self.seconds = seconds
        self._worker: subprocess.Popen[str] | None = None

    def compare(self, gold: str, answer: str) -> Comparison:
        """Whether ``answer`` equals ``gold``; both are LaTeX without delimiters.

        Raises:
            ArtifactError: the worker does not start (math-verify is not installed, say).
        """
        if max(len(gold), len(answer)) > MAX_TEXT:
            return "unparsable"
        worker = self._worker or self._start()
        assert worker.stdin is not None and worker.stdout is not None
        try:
            worker.stdin.write(json.dumps([gold, answer]) + "\n")
            worker.stdin.flush()
        except BrokenPipeError:
            return self._died()
        if not _answered(worker.stdout, WAIT * self.seconds):
            self.close()
            return "timed_out"
        line = worker.stdout.readline()
        if not line:
            return self._died()
        found: Comparison = json.loads(line)
        return found

    def _died(self) -> Comparison:
        """What became of a question that the worker did not survive: no time was left, or no memory."""
        assert self._worker is not None
        code = self._worker.wait()
        self.close()
        return "timed_out" if code == -signal.SIGXCPU else "unparsable"

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.communicate()
            self._worker = None

    def __enter__(self) -> Verifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[str]:
        code = f"from {__name__} import serve; serve({self.seconds})"
        worker = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        if not _answered(worker.stdout, START_SECONDS) or worker.stdout.readline() != READY:
            worker.kill()
            worker.communicate()
            raise ArtifactError("math-verify does not start; is it installed? (pip install math-verify)")
        self._worker = worker
        return worker


def _answered(stdout: IO[str], seconds: float) -> bool:
    """Whether the worker has written, or died, in time; each answer is one short line, written at once."""
    return bool(select.select([stdout], [], [], seconds)[0])


def serve(seconds: int) -> None:
    """The worker: a JSON line ``[gold, answer]`` in, a comparison out, until its input ends."""
    from math_verify import parse, verify
    from math_verify.parser import LatexExtractionConfig

    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    grammar = [LatexExtractionConfig()]

    def parsed(text: str) -> list[object]:
        found: list[object] = parse(
            f"${text}$", extraction_config=grammar, fallback_mode="no_fallback", parsing_timeout=None
        )
        return found

    def compared(gold: str, answer: str) -> Comparison:
        try:
            sides = [parsed(gold), parsed(answer)]
            if not all(sides):
                return "unparsable"
            return "equal" if verify(*sides, timeout_seconds=None) else "different"
        except (Exception, MemoryError):
            return "unparsable"

    answers, sys.stdout = sys.stdout, sys.stderr
    print(READY, end="", file=answers, flush=True)
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = math.ceil(used.ru_utime + used.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, resource.RLIM_INFINITY))
        print(json.dumps(compared(*json.loads(line))), file=answers, flush=True)
