"""Tasks: each makes problems, writes prompts and grades responses."""
