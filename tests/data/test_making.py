"""New strips from a local service: stories under the rules, panels one by one."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from local_service import Answer, LocalService, fault, openai_says, serving
from PIL import Image

from gazeheads.data.folders import read_strips
from gazeheads.data.written.rendering import missing_panels, render
from gazeheads.data.written.stories import HEROES, Story, StoryScene, broken_rule
from gazeheads.errors import GazeheadsError
from gazeheads.services import Chat, Endpoint, Patience, ServiceError
from gazeheads.services.images import Painter
from gazeheads.study.experiments import written_stories
from gazeheads.study.experiments.written_stories import StorySettings, read_stories

PANELS = 3
QUICK = Patience(3, 0.001, 0.01)
KEY = "sk-secret-0123456789"


def story(panels: int = PANELS, **changes: Any) -> dict[str, Any]:
    scenes = [
        {
            "caption": f"The fox does thing {k}.",
            "action": f"does {k}",
            "setting": f"place {k}",
            "objects": [f"lamp {k}", f"rope {k}"],
        }
        for k in range(panels)
    ]
    return {"protagonist": "a red fox in a coat", "style": "ink", "scenes": scenes, **changes}


def told(number: int) -> Story:
    return Story.of_record(story(style=f"ink {number}"))


def picture(colour: str) -> Answer:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 24), colour).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    used = {"input_tokens": 20, "output_tokens": 1000, "total_tokens": 1020}
    return Answer({"created": 0, "data": [{"b64_json": data}], "usage": used})


def chat_at(service: LocalService) -> Chat:
    return Chat(Endpoint("openai", "writer", service.url), QUICK)


def painter_at(service: LocalService, **options: Any) -> Painter:
    return Painter(Endpoint("openai", "painter", service.url), patience=QUICK, **options)


def with_scene(k: int, **changes: Any) -> dict[str, Any]:
    data = story()
    data["scenes"][k].update(changes)
    return data


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (story(), None),
        (story(panels=2), "2 panels instead of 3"),
        (with_scene(1, action="Does 0."), "action 'does 0'"),
        (with_scene(2, setting="PLACE 0"), "setting 'place 0'"),
        (with_scene(2, objects=["new", "lamp 1"]), "object 'lamp 1'"),
        (with_scene(0, objects=[]), "without object"),
        (with_scene(0, caption='The fox says "hello".'), "speech"),
        (with_scene(1, caption="The fox does thing 0"), "caption"),
    ],
)
def test_rules_that_need_no_judgement(data: dict[str, Any], rule: str | None) -> None:
    found = broken_rule(Story.of_record(data), PANELS)
    assert found is None if rule is None else rule in str(found)


def test_every_prompt_tells_figure_style_and_its_own_scene_only() -> None:
    digs = StoryScene("It digs.", "digs", "a beach", ("spade", "crab"))
    rows = StoryScene("It rows.", "rows", "a lake", ("boat", "oar"))
    one = Story("a red fox", "ink", (digs, rows))
    prompt = one.prompt(2)
    for part in ("a red fox", "ink", "It rows.", "a lake", "boat, oar", "No text"):
        assert part in prompt
    assert "digs" not in prompt and "beach" not in prompt


def test_stories_are_asked_for_again_until_they_keep_the_rules(tmp_path: Path) -> None:
    def answer(number: int, body: Any) -> Answer:
        broken = number % 3 == 0
        return openai_says(with_scene(1, setting="place 0") if broken else story())

    with serving(answer) as service:
        chat = chat_at(service)
        run = written_stories.run(chat, StorySettings(4, PANELS, seed=5), tmp_path, workers=1)
        assert len(service.heard) == 6 and chat.usage.calls == 6  # two of them in vain
        asked = {str(heard.body["messages"]) for heard in service.heard}
    assert len(asked) == 4
    assert all(any(hero in text for hero in HEROES) for text in asked)
    assert all("six" not in text and "3 panels" in text for text in asked)
    found = read_stories(run.path)
    assert list(found) == [f"written-5-000{i}" for i in range(4)]
    assert found["written-5-0000"] == Story.of_record(story())


def test_a_writer_that_never_keeps_the_rules_is_an_error(tmp_path: Path) -> None:
    settings = StorySettings(1, PANELS)
    with (
        serving(lambda n, body: openai_says(story(panels=1))) as service,
        pytest.raises(ServiceError, match="tried 3 times"),
    ):
        written_stories.run(chat_at(service), settings, tmp_path)
    (folder,) = (tmp_path / "stories").iterdir()
    with pytest.raises(GazeheadsError, match="not finished"):
        read_stories(folder)


def test_writing_goes_on_where_it_stopped(tmp_path: Path) -> None:
    settings = StorySettings(3, PANELS)
    with serving(lambda n, body: openai_says(story()) if n < 2 else fault(400)) as service:
        with pytest.raises(ServiceError):
            written_stories.run(chat_at(service), settings, tmp_path, workers=1)
        service.answer = lambda n, body: openai_says(story())
        written_stories.run(chat_at(service), settings, tmp_path, workers=1)
        assert len(service.heard) == 4


def test_panels_become_a_folder_of_strips(tmp_path: Path) -> None:
    stories = {f"s{i}": told(i) for i in range(2)}
    with serving(lambda n, body: picture("red")) as service:
        painter = painter_at(service, size="64x64", quality="low")
        assert missing_panels(tmp_path / "new", stories) == 2 * PANELS
        assert render(tmp_path / "new", stories, painter, {"model": "m"}) == []
        assert missing_panels(tmp_path / "new", stories) == 0
    found = read_strips(tmp_path / "new")
    assert [strip.id for strip in found] == ["s0", "s1"]
    assert found[0].captions == tuple((f"The fox does thing {k}.",) for k in range(PANELS))
    assert {panel.size for strip in found for panel in strip.panels} == {(24, 24)}
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "captions.jsonl", "comic1", "comic2", "source.json",
    ]  # fmt: skip
    prompts = [heard.body["prompt"] for heard in service.heard]
    assert sorted(prompts) == sorted(s.prompt(k) for s in stories.values() for k in (1, 2, 3))
    body = service.heard[0].body
    assert (body["size"], body["quality"], body["n"]) == ("64x64", "low", 1)
    assert "response_format" not in body
    assert painter.usage.tokens_out == 6000


def test_no_panel_is_painted_twice(tmp_path: Path) -> None:
    stories = {"s0": told(0), "s1": told(1)}

    def stops(number: int, body: Any) -> Answer:
        return picture("blue") if number < 4 else fault(400, "no credit")

    with serving(stops) as service:
        with pytest.raises(ServiceError, match="no credit"):
            render(tmp_path / "f", stories, painter_at(service), {}, workers=1)
        assert missing_panels(tmp_path / "f", stories) == 2
        # what is whole can be read already; the comic that is not whole is not taken for one
        assert [strip.id for strip in read_strips(tmp_path / "f")] == ["s0"]
        asked = len(service.heard)
        service.answer = lambda n, body: picture("blue")
        render(tmp_path / "f", stories, painter_at(service), {}, workers=1)
        assert len(service.heard) == asked + 2
    assert [strip.id for strip in read_strips(tmp_path / "f")] == ["s0", "s1"]
    assert not (tmp_path / "f" / "rendering").exists()


def test_a_declined_panel_leaves_its_comic_out_and_the_others_in(tmp_path: Path) -> None:
    stories = {"s0": told(0), "s1": told(1)}

    def answer(number: int, body: Any) -> Answer:
        if "ink 0" in body["prompt"] and "place 1" in body["prompt"]:
            return fault(400, "not safe", code="moderation_blocked")
        return picture("blue")

    with serving(answer) as service:
        (line,) = render(tmp_path, stories, painter_at(service), {})
    assert "comic1, panel 2" in line and "not safe" in line
    assert [strip.id for strip in read_strips(tmp_path)] == ["s1"]
    assert missing_panels(tmp_path, stories) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        fault(500),
        Answer({"created": 0, "data": [{"url": "http://elsewhere/picture.png"}]}),
        Answer({"created": 0, "data": []}),
        Answer({"created": 0, "data": [{"b64_json": "bm8gcGljdHVyZQ=="}]}),
        Answer("{ cut off"),
    ],
    ids=["500", "link", "empty", "damaged", "malformed"],
)
def test_painting_is_tried_again(trouble: Answer) -> None:
    with serving(lambda n, body: trouble if n < 2 else picture("red")) as service:
        painted = painter_at(service, ask_base64=True).paint("x")
        assert len(service.heard) == 3
        assert service.heard[0].body["response_format"] == "b64_json"
    with Image.open(io.BytesIO(painted)) as image:
        assert image.size == (24, 24)


def test_folders_of_others_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("")
    with serving(lambda n, body: picture("red")) as service:
        painter = painter_at(service)
        with pytest.raises(GazeheadsError, match="not an empty folder"):
            render(tmp_path / "mine", {"s": told(0)}, painter, {})
        render(tmp_path / "f", {"s": told(0)}, painter, {"model": "a", "size": "1"})
        with pytest.raises(GazeheadsError, match="begun with another model"):
            render(tmp_path / "f", {"s": told(0)}, painter, {"model": "b", "size": "1"})
        with pytest.raises(GazeheadsError, match="no stories"):
            render(tmp_path / "g", {}, painter, {})
    assert not (tmp_path / "g").exists()


def test_from_prompts_to_strips_on_the_command_line(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)

    def answer(number: int, body: Any) -> Answer:
        return picture("green") if "prompt" in body else openai_says(story())

    with serving(answer) as service:
        to = ("--base-url", service.url, "--key-env", "MY_KEY")
        runs, folder = tmp_path / "runs", tmp_path / "strips"
        code, out, err = command(
            "strips", "write-prompts", "--model", "w", "--count", 2, "--panels", PANELS,
            "--out", runs, "--prices", "1,2", *to,
        )  # fmt: skip
        assert code == 0, err
        assert "Used: 2 calls, 200 tokens in, 20 tokens out, $0.0002" in out
        stories = runs / "stories" / "w"
        about = ("strips", "render", stories, folder, "--model", "p", *to)
        assert command(*about, "--dry-run")[1].startswith("6 panels to paint")
        assert not folder.exists()
        code, out, err = command(*about)
        assert code == 0, err
        assert "Used: 6 calls" in out and f"Strips: {folder}" in out
        assert command(*about)[1].startswith("Used: 0 calls")
    assert len(read_strips(folder)) == 2
    assert json.loads((folder / "source.json").read_text())["model"] == "p"
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_fetch_and_comics_on_the_command_line(command: Any, tmp_path: Path) -> None:
    for k in range(4):
        (tmp_path / "corpus" / "0").mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 20), 50 * k).save(tmp_path / "corpus" / "0" / f"3_{k}.jpg")
    about = ("--count", 2, "--panels", 3, "--seed", 4)
    code, out, err = command("strips", "comics", tmp_path / "corpus", tmp_path / "out", *about)
    assert code == 0, err
    assert len(read_strips(tmp_path / "out")) == 2
    source = json.loads((tmp_path / "out" / "source.json").read_text())
    assert (source["source"], source["seed"], source["panels"]) == ("COMICS", 4, 3)
    for words, said in (
        (("comics", tmp_path / "corpus", tmp_path / "out", *about), "not an empty folder"),
        (("comics", tmp_path / "gone", tmp_path / "new"), "no folder"),
        (("fetch", tmp_path / "new", "--dataset", tmp_path / "corpus"), "no parquet files"),
        (("render", tmp_path / "gone", tmp_path / "new", "--model", "p"), "settings.json"),
        (("write-prompts", "--model", "w", "--base-url", "x"), "http://"),
    ):
        code, out, err = command("strips", *words)
        assert (code, out) == (2, ""), words
        assert err.count("\n") == 1 and said in err
    assert not (tmp_path / "new").exists()
