"""habits: the cognitive-behaviors chain, from problems to report, one sub-command a rule."""
