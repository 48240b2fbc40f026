"""Counting the four behaviors in responses: the symbolic oracle and the rule that applies it."""
