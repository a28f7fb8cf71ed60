"""The experiments of the study: specs, run folders, statistics and the report."""
