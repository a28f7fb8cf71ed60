"""Takes the pictures of the live demo in docs/, and says how fast it is on this machine.

Needs the extras [serve] and [test] and a Chromium. Run: python scripts/screenshots.py [FOLDER]
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

LOOKS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "desktop-dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True,
        "is_mobile": True,
    },
    "phone-dark": {
        "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True,
        "is_mobile": True, "color_scheme": "dark",
    },
}  # fmt: skip
KEPT = ("desktop", "phone")
"""Those that the docs show; the others and the whole pages are taken with a FOLDER only."""
SPEED = """async () => {
    const { BrowserEngine } = await import("./assets/engine.js");
    const strip = (await (await fetch("gallery/strips.json")).json()).strips[0];
    const picture = await createImageBitmap(await (await fetch(`gallery/${strip.picture}`)).blob());
    const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
    context.drawImage(picture, 0, 0);
    const image = context.getImageData(0, 0, picture.width, picture.height);
    const engine = new BrowserEngine();
    const model = await engine.load(() => undefined);
    const began = performance.now();
    const times = [];
    await engine.start({
        image, panels: strip.panels, prompt: "Please describe what happens in each panel.",
        region: null, heads: model.ranking.slice(0, model.defaultK), delta: Infinity, maxTokens: 60,
    }, () => { times.push(performance.now() - began); });
    engine.close();
    return [times[0], (1000 * (times.length - 1)) / (times.at(-1) - times[0])];
}"""


def in_mid_text(page: Page, touch: bool) -> None:
    """Steers twice and leaves the text while it is written."""
    page.wait_for_selector("#plain:enabled")
    for panel, tokens in ((2, 5), (5, 4)):
        region = page.locator(".region").nth(panel - 1)
        region.tap() if touch else region.hover()
        of_panel = page.locator(f'#story p:first-child [data-region="{panel}"] .token')
        of_panel.nth(tokens - 1).wait_for(state="attached")


def main() -> None:
    """Serves the demo, visits it and saves what is to be seen."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    words = ["-m", "gazeheads.cli", "demo", "--no-open", "--port", "0", "--engine", "browser"]
    demo = subprocess.Popen([sys.executable, "-u", *words], stdout=subprocess.PIPE, text=True)
    try:
        told = demo.stdout.readline() if demo.stdout else ""
        address = re.search(r"http://\S+", told)
        if address is None:
            sys.exit(f"the demo did not start: {told}")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, look in LOOKS.items():
                if folder is None and name not in KEPT:
                    continue
                page = browser.new_page(**look)
                page.goto(address[0])
                in_mid_text(page, "has_touch" in look)
                if folder is None:
                    page.screenshot(path=f"docs/demo-{name}.png")
                    continue
                folder.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=folder / f"{name}.png")
                page.locator("#narrate").click()
                page.wait_for_timeout(5000)
                page.screenshot(path=folder / f"{name}-whole.png", full_page=True)
            page = browser.new_page()
            page.goto(address[0])
            page.wait_for_selector("#plain:enabled")
            first, speed = page.evaluate(SPEED)
            print(f"first token after {first:.0f} ms, then {speed:.0f} tokens/s before pacing")
    finally:
        demo.terminate()
        demo.wait(20)


if __name__ == "__main__":
    main()
