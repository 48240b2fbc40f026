"""Kills a Python process at a chosen change of the file system; Python imports this from PYTHONPATH.

Time is a poor dice for kills, as most of it goes into imports. This counts the changes that a program makes
below its working directory (files opened to be written, renamed, removed, linked, ...) and kills it right
before change number `STRIKE_AT`. A file that was about to be overwritten is left empty, as a kill an instant
later would leave it. `STRIKE_PROGRAM` names the program; its children go on unless `STRIKE_GROUP` is set.
"""

import os
import signal
import sys
from itertools import count

AT = int(os.environ.get("STRIKE_AT", "0"))
CHANGES = {"os.rename", "os.remove", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.chmod", "os.utime"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
HERE = os.getcwd()
number = count(1)


def hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" or event in CHANGES:
        path, flags = arguments[0], arguments[2] if event == "open" else WRITES
        changes = isinstance(path, str | bytes) and isinstance(flags, int) and flags & WRITES
        if changes and os.path.abspath(os.fsdecode(path)).startswith(HERE) and next(number) == AT:
            strike(event, os.fsdecode(path), flags)


def strike(event: str, path: str, flags: int) -> None:
    with open(f"{HERE}/.git/struck", "w") as file:
        file.write(f"{event} {path}")
    if event == "open" and flags & os.O_TRUNC and os.path.exists(path):
        os.truncate(path, 0)
    if os.environ.get("STRIKE_GROUP"):
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if AT and os.environ.get("STRIKE_PROGRAM") in [os.path.basename(word) for word in sys.orig_argv[1:3]]:
    sys.addaudithook(hook)
