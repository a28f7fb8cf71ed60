from gazeheads.tiny.exam import ExamSettings, _mark, examine
from gazeheads.tiny.questions import QA


def test_marks():
    story = QA("narration", "?", "Cat rides.\nDog cuts.")
    assert _mark(story, "Cat rides.\nDog cuts.") == 1
    assert _mark(story, "Cat rides.\nDog digs.") == 0.5
    assert _mark(story, "Dog cuts.\nCat rides.") == 0
    assert _mark(story, "") == 0
    assert _mark(QA("who", "?", "Cat."), "Cat. Dog.") == 0


def test_an_untrained_model_fails(model, processor):
    settings = ExamSettings(strips=2, scenes=1, panels=(2, 6), batch=8)
    marks = {m.kind: m for m in examine(model, processor, settings, lambda done, total: None)}
    assert marks["panel of 6"].asked == 4
    assert marks["panel of 6"].right == 0
