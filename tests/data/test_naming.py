"""Whether an answer names a category: checked word by word against what a person would say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazeheads.data.category_words import BOTH, ELSEWHERE, WORDS
from gazeheads.data.naming import forms, is_named

NAMED = {
    "person": ["A baby.", "People walking", "Policemen", "A woman\u2019s hand", "many persons",
               "A skier", "a bus driver", "Children!", "A man on a sofa"],
    "bicycle": ["a bike", "bicycles"], "car": ["a taxi", "minivans", "An SUV", "a police car"],
    "motorcycle": ["motorbike", "motor bikes", "motor-cycle"], "bus": ["Two buses.", "minibuses"],
    "airplane": ["air plane", "planes", "a jet"], "train": ["train cars", "a locomotive"],
    "truck": ["firetruck", "a fire engine", "pickup trucks"], "boat": ["ferries", "a rowboat"],
    "traffic light": ["stoplights", "traffic-lights"], "fire hydrant": ["a hydrant"],
    "stop sign": ["STOP SIGNS"], "bench": ["benches"], "bird": ["geese", "a seagull"],
    "cat": ["Two cats.", "A Cat!", "kitties"], "dog": ["A dog.", "puppies", "the dogs\u2019 bowls"],
    "horse": ["ponies"], "sheep": ["three sheep", "a lamb"], "cow": ["calves", "oxen", "cattle"],
    "bear": ["A polar bear", "pandas"], "giraffe": ["A mother giraffe and her calf"],
    "backpack": ["back pack", "rucksack"], "handbag": ["a purse", "hand bags"],
    "tie": ["a bow tie", "necktie"], "suitcase": ["suit-case", "luggage"],
    "skis": ["skis", "a ski"],
    "sports ball": ["a soccer ball", "A basketball.", "balls"], "baseball bat": ["a baseball bat"],
    "baseball glove": ["a catcher\u2019s mitt"], "tennis racket": ["racquets"],
    "wine glass": ["a glass of wine", "two glasses of wine", "wineglasses", "wine glasses"],
    "cup": ["a mug", "teacups"], "knife": ["Two knives.", "a pocketknife"], "bowl": ["a dog bowl"],
    "sandwich": ["sandwiches", "cheeseburgers"],
    "orange": ["An orange.", "oranges", "orange slices", "an orange and a banana"],
    "hot dog": ["A hotdog.", "hot-dogs", "Hot dogs"],
    "donut": ["doughnuts"], "cake": ["cupcakes", "carrot cake"], "couch": ["couches", "sofas"],
    "potted plant": ["house plants"], "dining table": ["a table"], "toilet": ["the toilet seat"],
    "tv": ["A T.V. on the wall", "TVs", "a computer monitor"], "laptop": ["laptop computers"],
    "mouse": ["mice", "a computer mouse"], "keyboard": ["a computer keyboard"],
    "remote": ["remote control", "TV remotes"], "cell phone": ["A cellphone.", "smart phones"],
    "microwave": ["microwave oven"], "refrigerator": ["fridges"], "scissors": ["pair of scissors"],
    "teddy bear": ["Teddy-bears", "teddybear", "A stuffed bear"], "hair drier": ["hairdryer"],
    "toothbrush": ["tooth brushes"], "oven": ["a toaster oven"], "toaster": ["a toaster oven"],
    "ball": ["a soccer ball", "a ball"], "bike": ["a bike"], "fox": ["two foxes"],
    "robot": ["Robots"],
}  # fmt: skip
OTHERS = {
    "person": ["A baby elephant.", "a mantle", "a snowman", "a DVD player", "",
               "a pitcher of water"],
    "dog": ["A hot dog on a plate.", "hotdogs", "a corn dog", "a dog house"],
    "bear": ["A teddy bear.", "teddy bears"], "cat": ["a category", "cat food"],
    "car": ["a toy car", "train cars", "car seat", "cable cars", "carrots"],
    "orange": ["An orange cat.", "An orange and white cat", "a white and orange cat",
               "orange juice", "a bright orange wall"],
    "train": ["Train tracks.", "a train station"], "bus": ["a bus stop"], "boat": ["a jet ski"],
    "airplane": ["a jet ski", "plain"], "bicycle": ["motor bike", "a bike rack"],
    "motorcycle": ["a bicycle"],
    "laptop": ["a computer mouse", "a computer keyboard", "a notebook"],
    "wine glass": ["a man with glasses", "a glass door", "stained glass"],
    "sports ball": ["playing basketball", "a baseball bat", "a baseball player"],
    "baseball bat": ["a baseball glove"], "tie": ["tied"], "skis": ["a ski jacket", "a skier"],
    "dining table": ["a tablecloth", "a table lamp"], "toilet": ["toilet paper"],
    "chair": ["the toilet seat", "a chair lift"], "cup": ["cupcakes", "the world cup"],
    "book": ["a bookshelf", "book shelves"], "carrot": ["carrot cake"], "bed": ["a flower bed"],
    "oven": ["microwave oven"], "bowl": ["super bowl"], "apple": ["a pineapple", "apple pie"],
    "cell phone": ["headphones", "a phone booth"], "remote": ["a remote island"],
    "tv": ["a TV stand"], "handbag": ["a bag of chips", "a plastic bag"], "bird": ["a bird cage"],
    "potted plant": ["a power plant"], "horse": ["a rocking horse"], "mouse": ["a mouse pad"],
    "bike": ["a motorbike"], "owl": ["a penguin"], "key": ["a monkey"],
}  # fmt: skip
PROBES = [
    (name, text, wanted)
    for table, wanted in ((NAMED, True), (OTHERS, False))
    for name, texts in table.items()
    for text in texts
]


@pytest.mark.parametrize(("name", "text", "wanted"), PROBES)
def test_an_answer_names_a_category_as_a_person_would_say(
    name: str, text: str, wanted: bool
) -> None:
    assert is_named(name, text) is wanted


def test_the_table_has_the_80_categories_of_coco_and_every_one_names_itself() -> None:
    assert len(WORDS) == 80
    for category in WORDS:
        words = category.split()
        for form in forms(words[-1]):
            name = " ".join([*words[:-1], form])
            for text in (name, f"A {name}.", f"Two {name.upper()}!", f"the {name}'s"):
                assert is_named(category, text), (category, text)
        if len(words) == 2:
            assert is_named(category, "".join(words)) and is_named(category, "-".join(words))


@pytest.mark.parametrize("category", WORDS)
def test_every_word_of_the_table_names_its_category(category: str) -> None:
    for word in filter(None, WORDS[category].split(", ")):
        assert is_named(category, f"a {word}"), word
    for phrase, named in BOTH.items():
        if category in named:
            assert is_named(category, phrase)


@pytest.mark.parametrize("phrase", ELSEWHERE.split(", "))
def test_a_compound_of_something_else_names_no_category(phrase: str) -> None:
    assert [name for name in WORDS if is_named(name, f"a {phrase}")] == []


@given(st.text(), st.sampled_from(sorted(WORDS)))
def test_any_text_is_read(text: str, category: str) -> None:
    assert is_named(category, text) in (True, False)
    assert is_named(category, json.dumps(text) + f" a {category}.") or text
