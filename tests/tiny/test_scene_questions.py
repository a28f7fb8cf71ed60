import random

from gazeheads.tiny.scene_questions import ScenePage, scene_question


def test_scene_lists_go_from_left_to_right():
    page = ScenePage("space", ("cat", "kite", "owl"), ((0.2, 0.2), (0.5, 0.8), (0.8, 0.2)))
    seen = {scene_question(random.Random(seed), page).answer for seed in range(300)}
    assert "Cat, kite, owl." in seen
    assert "A cat, a kite and an owl in space." in seen
