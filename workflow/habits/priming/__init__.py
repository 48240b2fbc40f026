"""Priming: traces that show chosen behaviors, written by the symbolic teacher, and their controls."""
