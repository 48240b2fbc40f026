"""Evaluation rollouts of saved checkpoints."""
