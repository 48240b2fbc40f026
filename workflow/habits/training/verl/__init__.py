"""The verl backend: the same inputs and outputs as the local trainers, run by verl's own on GPUs.

Pinned to verl 0.9.1; nothing here imports verl before a job needs it.
"""
