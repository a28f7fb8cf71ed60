#!/usr/bin/env bash
# Lint, format and types, without the tests.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" "[test,lint]"
echo "== ruff"
ruff check .
ruff format --check .
echo "== mypy"
mypy
