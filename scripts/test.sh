#!/usr/bin/env bash
# Every check of the project: lint, format, types, tests. Arguments go to pytest.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" "[test,lint]"
echo "== ruff"
ruff check .
ruff format --check .
echo "== mypy"
mypy
echo "== pytest"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec python -m pytest -n "${TEST_PROCESSES:-2}" "$@"
