# Sourced by the other scripts: makes a virtual environment with the exact versions of
# constraints.txt and puts it first on the PATH. Nothing outside the environment is touched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv="${GAZEHEADS_VENV:-.venv}"
python="${PYTHON:-python3}"
wanted="$(cat pyproject.toml constraints.txt | cksum) $1"

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "gazeheads needs Python 3.11 or newer; '$python' is not. Set PYTHON to one that is." >&2
    exit 2
fi
if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$wanted" ]; then
    echo "== Installing gazeheads$1 into $venv (about 2 minutes and 6 GB, once)"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --editable ".$1"
    echo "$wanted" >"$venv/.installed"
fi
export PATH="$(cd "$venv" && pwd)/bin:$PATH"
