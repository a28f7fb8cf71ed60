"""Stories for new strips, written by a chat model under the study's six rules.

The rules: one protagonist and style; each panel another action, setting and objects; no text or
speech bubbles; unambiguous to render; nothing repeats; safe content. What can be checked without
judgement is checked here, and a story that breaks it is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gazeheads.services import Chat, ChatRequest

HEROES = (
    "a child", "an old sailor", "a robot", "a small dragon", "a cat", "a dog", "a scientist",
    "a baker", "an astronaut", "a farmer", "a bear", "a fox", "a musician", "a detective",
    "a rabbit", "a knight", "a gardener", "an inventor", "a penguin", "a grandmother",
)  # fmt: skip
STYLES = (
    "flat vector art with bold outlines", "watercolour", "ink and wash", "pixel art",
    "paper cut-out", "coloured pencil", "vintage comic print", "clay animation", "gouache",
    "woodcut",
)  # fmt: skip
THEMES = (
    "a journey", "a search", "a surprise", "a contest", "a rescue", "a festival", "a mystery",
    "a repair", "a gift", "a storm", "an invention", "a homecoming",
)  # fmt: skip

REQUEST = """\
Invent a comic strip of {panels} panels about {hero}: {theme}, drawn as {style}.

Keep to these rules:
1. One protagonist and one drawing style throughout. Describe the protagonist so that an artist \
draws the same figure every time: build, colours, clothes.
2. Every panel shows another action, in another setting, with other objects.
3. No text in the pictures: no speech bubbles, captions, signs, labels or letters.
4. Every panel can be drawn in only one way: one visible action, concrete things, no inner thoughts.
5. Nothing repeats: no action, setting or object appears in two panels.
6. Safe for every reader: no violence, no brands, no real persons.

For each panel give a caption of one sentence that says what happens, the action as a verb phrase, \
the setting, and two to four objects."""


@dataclass(frozen=True)
class StoryScene:
    """One panel to draw.

    Attributes:
        caption: One sentence of what happens.
        action, setting: Of this panel alone.
        objects: Things that no other panel shows.
    """

    caption: str
    action: str
    setting: str
    objects: tuple[str, ...]


@dataclass(frozen=True)
class Story:
    """A strip to draw: who, in which style, and what each panel shows."""

    protagonist: str
    style: str
    scenes: tuple[StoryScene, ...]

    def prompt(self, number: int) -> str:
        """What an image model is asked to draw for one panel, counted from 1."""
        scene = self.scenes[number - 1]
        return (
            f"A single comic panel in this style: {self.style}. "
            f"The protagonist: {self.protagonist}. "
            f"What happens: {scene.caption} Setting: {scene.setting}. "
            f"Clearly visible: {', '.join(scene.objects)}. "
            "One scene that fills the picture, without a frame or a split into panels. "
            "No text, letters, numbers, signs or speech bubbles."
        )

    def as_record(self) -> dict[str, Any]:
        """The fields of a record."""
        return asdict(self)

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Story:
        """From the fields of a record, or of a model's answer."""
        scenes = tuple(
            StoryScene(
                _text(scene["caption"]),
                _text(scene["action"]),
                _text(scene["setting"]),
                tuple(_text(thing) for thing in scene["objects"]),
            )
            for scene in record["scenes"]
        )
        return cls(_text(record["protagonist"]), _text(record["style"]), scenes)


def write_story(chat: Chat, number: int, seed: int, panels: int) -> Story:
    """Asks for story `number` of a series; hero, theme and style depend on (seed, number) only.

    Raises:
        ServiceError: No story that keeps the rules within the tries.
    """
    rng = np.random.default_rng((seed, number))
    hero, theme, style = (str(rng.choice(choices)) for choices in (HEROES, THEMES, STYLES))
    text = REQUEST.format(panels=panels, hero=hero, theme=theme, style=style)

    def read(data: dict[str, Any]) -> Story:
        story = Story.of_record(data)
        if broken := broken_rule(story, panels):
            raise ValueError(broken)
        return story

    return chat.ask(ChatRequest(text, _schema(), max_tokens=4_000), read)


def broken_rule(story: Story, panels: int) -> str | None:
    """The first rule that a story breaks, as far as that can be told without judgement."""
    scenes = story.scenes
    if len(scenes) != panels:
        return f"{len(scenes)} panels instead of {panels}"
    readers: tuple[tuple[str, Callable[[StoryScene], Sequence[str]]], ...] = (
        ("caption", lambda scene: [scene.caption]),
        ("action", lambda scene: [scene.action]),
        ("setting", lambda scene: [scene.setting]),
        ("object", lambda scene: scene.objects),
    )
    for what, read in readers:
        seen: set[str] = set()
        for scene in scenes:
            own = {text.strip(" .!").casefold() for text in read(scene)}
            if not own or "" in own:
                return f"a panel without {what}"
            if again := seen & own:
                return f"two panels with the {what} {again.pop()!r}"
            seen |= own
    if any(mark in scene.caption for scene in scenes for mark in '"“”«»'):
        return "a caption with speech or text"
    return None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError("a text is missing")
    return " ".join(value.split())


def _schema() -> dict[str, Any]:
    text = {"type": "string"}
    scene = {
        "caption": text, "action": text, "setting": text,
        "objects": {"type": "array", "items": text},
    }  # fmt: skip
    whole = {
        "protagonist": text, "style": text, "scenes": {"type": "array", "items": _object(scene)},
    }  # fmt: skip
    return _object(whole)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
