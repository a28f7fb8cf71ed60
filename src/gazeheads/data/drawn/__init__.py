"""Comics the package draws itself, with the exact truth of every panel."""
