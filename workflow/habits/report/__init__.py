"""The report: a static site that opens from disk, written from the artifacts of a finished run."""
