"""Puts an export of comic-tiny into the package, without the matrices that its checkpoint has.

Run after comic-tiny has changed:

    gazeheads export web -o page && python scripts/ship_model.py page/model
"""

from __future__ import annotations

import sys
from pathlib import Path

from gazeheads.live.page import CHECKPOINT, MODEL, STATIC
from gazeheads.live.shipped import keep_rest

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    keep_rest(Path(sys.argv[1]), STATIC / MODEL, CHECKPOINT)
    size = sum(path.stat().st_size for path in (STATIC / MODEL).iterdir())
    print(f"{STATIC / MODEL}: {size / 1e6:.1f} MB")
