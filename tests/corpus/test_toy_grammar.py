"""What the data of a grammar must hold, each fault refused in a sentence."""

from typing import Any

import pytest

from textlatent.corpus.toy_grammar import Slot, Template, check_grammar

FACTORS = {"topic": {"sea": 2, "farm": 1}, "tense": {"past": 3, "present": 2}}
SLOTS = {"HOW": Slot((), {(): {"old": 1, "new": 2}}), "WHO": Slot(("topic",), {("sea",): {"sailor": 1}})}
TEMPLATES = (Template("HOW WHO swam .", 1, {"topic": ("sea",), "tense": ("past",)}), Template("hm ."))
SOUND: dict[str, Any] = {"factors": FACTORS, "slots": SLOTS, "templates": TEMPLATES}


def test_a_template_allows_the_classes_of_its_when() -> None:
    at_sea = [{"topic": topic, "tense": "past"} for topic in FACTORS["topic"]]
    assert [TEMPLATES[0].allows(values) for values in at_sea] == [True, False]
    assert [TEMPLATES[1].allows(values) for values in at_sea] == [True, True]
    assert not TEMPLATES[0].allows({"topic": "sea", "tense": "present"})


def test_a_sound_grammar_passes() -> None:
    check_grammar(**SOUND)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"factors": FACTORS | {"tense": {"past": 1, "present": 0}}},
            r"weights must be > 0, .* in factor tense; leave",
        ),
        ({"factors": FACTORS | {"tense": {}}}, r"weights must be > 0, got \{\} in factor tense"),
        ({"slots": SLOTS | {"HOW": Slot((), {(): {"old": -1}})}}, r"weights must be > 0, .* in slot HOW at \(\)"),
        ({"slots": SLOTS | {"HOW": Slot((), {(): {"old": float("nan")}})}}, r"weights must be > 0, .* in slot HOW"),
        ({"slots": SLOTS | {"HOW": Slot((), {(): {"very old": 1}})}}, r"holds no space .* got 'very old' in slot HOW"),
        ({"slots": SLOTS | {"HOW": Slot((), {(): {"": 1}})}}, r"is not empty, got '' in slot HOW"),
        ({"slots": SLOTS | {"HOW": Slot(("mood",), {("sad",): {"old": 1}})}}, r"slot HOW is given 'mood'; .* tense"),
        ({"templates": (Template("WHO DOES ."),)}, r"words and names of slots between single spaces, got 'DOES'"),
        ({"templates": (Template("WHO  swam ."),)}, r"words and names of slots between single spaces, got ''"),
        ({"templates": (Template("WHO swam .", 0),)}, r"weights must be > 0, .* in the templates"),
        ({"templates": ()}, r"weights must be > 0, got \{\} in the templates"),
        ({"templates": (Template("WHO .", 1, {"mood": ("sad",)}),)}, r"'WHO \.' is given 'mood'; .* topic, tense"),
    ],
)
def test_a_faulty_grammar_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_grammar(**SOUND | change)
