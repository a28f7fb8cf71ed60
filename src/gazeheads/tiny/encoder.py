"""First the image encoder alone: it learns what things look like before it meets any words.

Linear probes on the image tokens name what each panel shows, number the panels and name the
objects of scenes. They are thrown away; only the encoder stays. Naming six panels at once
costs a tenth of asking about them, and the language model then starts from tokens that can be told
apart, as real vision-language models start from a trained encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gazeheads.data.drawn.scenes import Scene
from gazeheads.data.drawn.truth import ACTIONS, CHARACTERS, PLACES, THINGS, WEATHERS
from gazeheads.data.strip import LABEL_CENTRE
from gazeheads.tiny.batches import DIGITS, LETTERS, SCENE, Sheet
from gazeheads.tiny.model import CELL
from gazeheads.tiny.questions import Page

MOST_PANELS = 8
BADGE_WEIGHT = 2.0
_NAMES = {word: i for i, word in enumerate((*CHARACTERS, *THINGS))}
_CLASSES: dict[str, tuple[str | None, ...]] = {
    "character": CHARACTERS,
    "action": ACTIONS,
    "thing": THINGS,
    "place": tuple(PLACES),
    "weather": (None, *WEATHERS),
    "label": (None, *LETTERS, *DIGITS),
}
_INDEX = {probe: {word: i for i, word in enumerate(words)} for probe, words in _CLASSES.items()}


class Probes(nn.Module):
    """Linear read-outs of image tokens (T, D): of panels, of panel numbers and of objects."""

    def __init__(self, width: int):
        super().__init__()
        self.panel = nn.ModuleDict(
            {name: nn.Linear(width, len(words)) for name, words in _CLASSES.items()}
        )
        self.number = nn.Linear(width, MOST_PANELS)
        self.count = nn.Linear(width, MOST_PANELS)
        self.name = nn.Linear(width, len(_NAMES))


def image_tokens(embeds: Tensor, deepstack: Sequence[Tensor], images: int) -> Tensor:
    """Image tokens (B, T, D) as the language model's second layer sees them, normalised."""
    tokens = embeds + torch.stack(list(deepstack)).sum(0)
    return F.rms_norm(tokens, tokens.shape[-1:]).view(images, -1, tokens.shape[-1])


def sheet_loss(probes: Probes, tokens: Tensor, sheet: Sheet) -> tuple[Tensor, dict[str, float]]:
    """Loss of naming and numbering the panel of every token of a sheet, and the shares right.

    Every token of a panel must know all of it: a head that looks anywhere in a panel then fetches
    what it wants, be it the label in the corner.

    Args:
        probes: The read-outs.
        tokens: (B, T, D) from `image_tokens`.
        sheet: What the images show.
    """
    height, width = sheet.images.shape[2] // CELL, sheet.images.shape[3] // CELL
    panel_of = _panel_of(height, width, sheet.rows, sheet.columns)
    panels = sheet.rows * sheet.columns
    losses, right = [], {}
    for name, probe in probes.panel.items():
        logits = probe(tokens).flatten(0, 1)
        words = [[_INDEX[name][word] for word in _words(name, page)] for page in sheet.pages]
        target = torch.tensor(words)[:, panel_of].flatten()
        losses.append(F.cross_entropy(logits, target))
        right[name] = float((logits.argmax(-1) == target).float().mean())
    losses.append(BADGE_WEIGHT * _badge_loss(probes, tokens, sheet))
    numbers = panel_of.repeat(len(sheet.pages))
    logits = probes.number(tokens).flatten(0, 1)
    losses.append(F.cross_entropy(logits, numbers))
    right["number"] = float((logits.argmax(-1) == numbers).float().mean())
    counts = torch.full_like(numbers, panels - 1)
    losses.append(F.cross_entropy(probes.count(tokens).flatten(0, 1), counts))
    return torch.stack(losses).sum(), right


def _badge_loss(probes: Probes, tokens: Tensor, sheet: Sheet) -> Tensor:
    """Loss of reading each label where it is painted: a letter is learned there or nowhere."""
    height, width = sheet.images.shape[2] // CELL, sheet.images.shape[3] // CELL
    row = ((torch.arange(sheet.rows) + LABEL_CENTRE) / sheet.rows * height).long()
    column = ((torch.arange(sheet.columns) + LABEL_CENTRE) / sheet.columns * width).long()
    badges = (row[:, None] * width + column[None]).flatten()
    words = [[_INDEX["label"][word] for word in _words("label", page)] for page in sheet.pages]
    logits = probes.panel["label"](tokens[:, badges])
    return F.cross_entropy(logits.flatten(0, 1), torch.tensor(words).flatten())


def scene_loss(
    probes: Probes, tokens: Tensor, scenes: Sequence[Scene]
) -> tuple[Tensor, dict[str, float]]:
    """Loss of naming the object under every token whose centre lies in an object's box."""
    side = round(tokens.shape[1] ** 0.5)  # scenes are square
    centre = (torch.arange(side) + 0.5) / side * SCENE
    targets = torch.full((len(scenes), side, side), -100)
    for b, scene in enumerate(scenes):
        for thing in scene.objects:
            x0, y0, x1, y1 = thing.box
            across, down = (centre >= x0) & (centre < x1), (centre >= y0) & (centre < y1)
            targets[b][down[:, None] & across[None]] = _NAMES[thing.name]
    logits, targets = probes.name(tokens).flatten(0, 1), targets.flatten()
    wanted = targets >= 0
    right = (logits.argmax(-1) == targets)[wanted].float().mean()
    return F.cross_entropy(logits[wanted], targets[wanted]) * 4, {"object": float(right)}


def _panel_of(height: int, width: int, rows: int, columns: int) -> Tensor:
    """Panel number (from 0) under the centre of each token, row-major."""
    row = ((torch.arange(height) + 0.5) / height * rows).long()
    column = ((torch.arange(width) + 0.5) / width * columns).long()
    return (row[:, None] * columns + column[None]).flatten()


def _words(probe: str, page: Page) -> Sequence[str | None]:
    if probe == "label":
        return page.labels or (None,) * len(page.truths)
    return [getattr(truth, probe) for truth in page.truths]
