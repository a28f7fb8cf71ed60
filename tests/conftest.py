"""Tiny random models and strips, built offline; torch is loaded only where a test needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browsers import browser, playwright_driver  # noqa: F401
from hypothesis import settings
from not_run import (  # noqa: F401
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_runtest_setup,
    pytest_unconfigure,
)
from PIL import Image

from gazeheads.cli.main import main
from gazeheads.regions import Region

if TYPE_CHECKING:
    from gazeheads.models import VLM

PANEL = 64
Command = Callable[..., tuple[int, str, str]]

# a busy machine is no failure
settings.register_profile("gazeheads", deadline=None)
settings.load_profile("gazeheads")


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "how long fifty connections crowd the demo's server (a full trial: 60)"
    parser.addoption("--crowd-seconds", type=float, default=8.0, help=told)
    told = "texts compared with the released protocol's: few, or all 352"
    parser.addoption("--released-texts", choices=("few", "all"), default="few", help=told)


@pytest.fixture(scope="session")
def processor() -> Any:
    from tiny_models import make_processor

    return make_processor()


@pytest.fixture(scope="session", params=[(4, 4), (4, 2)], ids=["mha", "gqa"])
def vlm(request: pytest.FixtureRequest, processor: Any) -> VLM:
    """A tiny model: 4 layers x 4 heads, with and without grouped keys."""
    from tiny_models import make_model

    from gazeheads.models import wrap

    return wrap(make_model(processor, *request.param), processor, "tiny-random")


@pytest.fixture(scope="session")
def gqa(processor: Any) -> VLM:
    from tiny_models import make_model

    from gazeheads.models import wrap

    return wrap(make_model(processor, 4, 2), processor, "tiny-random")


@pytest.fixture(scope="session")
def reference(vlm: VLM) -> Any:
    """The same model with an eager attention of the tests' own."""
    from eager_reference import Reference

    return Reference(vlm)


@dataclass(frozen=True)
class FakeStrip:
    """Panels of noise in a row."""

    id: str
    panels: int = 3
    seed: int = 0
    image: Image.Image = field(init=False)

    def __post_init__(self) -> None:
        noise = np.random.default_rng(self.seed)
        coarse = noise.integers(0, 255, (4, 4 * self.panels, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize(
            (PANEL * self.panels, PANEL), Image.Resampling.NEAREST
        )
        object.__setattr__(self, "image", picture)

    @property
    def regions(self) -> tuple[Region, ...]:
        return tuple(
            Region.from_box(PANEL * i, 0, PANEL * (i + 1), PANEL, f"panel {i + 1}")
            for i in range(self.panels)
        )

    def panel(self, k: int) -> Region:
        return self.regions[k - 1]

    def __len__(self) -> int:
        return self.panels


@pytest.fixture
def strip() -> FakeStrip:
    return FakeStrip("strip-0")


@pytest.fixture
def make_strip() -> Callable[..., FakeStrip]:
    return FakeStrip


@pytest.fixture(scope="session")
def model(processor: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a tiny random model."""
    from tiny_models import make_model

    folder = tmp_path_factory.mktemp("models") / "tiny-random"
    make_model(processor, 4, 2).save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def no_heads_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Tests use the heads that the package keeps, and none of whoever runs them."""
    monkeypatch.setenv("GAZEHEADS_HEADS", str(tmp_path_factory.getbasetemp() / "none"))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line; gives exit code, stdout and stderr."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gazeheads", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        return (int(stop.value.code or 0), *capfd.readouterr())

    return call
