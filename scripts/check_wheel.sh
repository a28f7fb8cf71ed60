#!/usr/bin/env bash
# A wheel as its users get it: at most 15 MB, and README's Python and the main job run from it in an
# environment that has nothing else. Run: bash scripts/check_wheel.sh dist/gazeheads-....whl
set -euo pipefail
wheel="$(realpath "$1")"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
size="$(stat -c %s "$wheel")"
echo "== $wheel: $size bytes"
[ "$size" -le 15000000 ] || { echo "the wheel is larger than 15 MB" >&2; exit 1; }
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint "$root/constraints.txt" "$wheel"
cd "$folder"
unset PYTHONPATH
echo "== import gazeheads"
venv/bin/python -X importtime -c 'import gazeheads' 2>&1 | tail -1
echo "== README's Python"
venv/bin/python "$root/tests/docs/blocks.py" "$root/README.md" readme
echo "== the main job"
venv/bin/gazeheads run --out runs "${@:2}"
test -s runs/report.html
