"""Environment of all tests: one thread, no network; set before torch is imported anywhere."""

from habits.jobs import prepare_environment

prepare_environment(threads=1)
