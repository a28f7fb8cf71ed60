"""One wrapped tiny model per family and session."""

from __future__ import annotations

from functools import cache

import pytest

from gazeheads.models import VLM


@cache
def wrapped(name: str) -> VLM:
    from tiny_families import make_family

    from gazeheads.models import wrap

    return wrap(*make_family(name), name)


@pytest.fixture
def family(request: pytest.FixtureRequest) -> VLM:
    """The tiny model of the family that the test is parametrised with."""
    return wrapped(request.param)
