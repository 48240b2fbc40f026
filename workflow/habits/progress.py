"""Progress lines of long steps: what runs, how far, how good, how long still."""

from __future__ import annotations

import sys
import time


class Progress:
    """Prints one line an update to stderr: ``[name] step 12/40  accuracy 0.21  1m20s left``.

    Args:
        name: the rule and what it works on.
        total: updates in all.
        done: updates an earlier, interrupted attempt had finished; not counted in the speed.
        every: seconds that must pass between two lines (the last is always printed).
    """

    def __init__(self, name: str, total: int, done: int = 0, every: float = 5.0) -> None:
        self.name, self.total, self.first, self.every = name, total, done, every
        self.started = self.printed = time.monotonic()
        if done:
            print(f"[{name}] goes on after {done}/{total}", file=sys.stderr, flush=True)

    def update(self, done: int, **figures: float) -> None:
        """Report that ``done`` of ``total`` are finished; ``figures`` are shown with three digits."""
        now = time.monotonic()
        if now - self.printed < self.every and done < self.total:
            return
        self.printed = now
        shown = "".join(f"  {key} {value:.3g}" for key, value in figures.items())
        if done > self.first:
            left = (now - self.started) / (done - self.first) * (self.total - done)
            shown += f"  {clock(left)} left"
        print(f"[{self.name}] {done}/{self.total}{shown}", file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """Seconds as ``1h02m``, ``3m20s`` or ``14s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
