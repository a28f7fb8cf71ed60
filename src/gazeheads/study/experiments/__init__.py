"""The experiments of the study: settings -> records -> summary, one module each."""
