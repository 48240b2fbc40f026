"""Tests of the tasks; a package, so that test modules can share the adversary."""
