"""Connecting to a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ray_on(address: str) -> Iterator[None]:
    """Temporary."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    ray.init(
        "local" if address == "auto" else address,
        log_to_driver=False,
        logging_level="ERROR",
        include_dashboard=False,
        object_store_memory=256 * 2**20,
    )
    try:
        yield
    finally:
        ray.shutdown()
