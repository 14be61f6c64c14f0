"""The words and sentence patterns of the toy English: what the sailor, the baker and the dragon may do, and when.

Within a topic every verb suits every object, so that any draw is a sentence. Topics share words (children paint
boats as sailors do), so that a sentence does not always tell its topic.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from textlatent.corpus.toy_grammar import Slot, Template
from textlatent.corpus.toy_language import ToyLanguage

Table = dict[tuple[str, ...], dict[str, float]]  # a slot's weights


class Topic(NamedTuple):
    """The words of one topic; the earlier in its list, the more frequent a word (weights 1/3, 1/4, 1/5, ...)."""

    subjects: str
    verbs: str
    objects: str
    traits: str
    qualities: str
    places: str


TOPICS = {
    "sea": Topic(
        "child sailor traveller fisherman pirate",
        "paint sell repair admire lose",
        "boat anchor net sail lantern",
        "old brave tired proud poor",
        "little old new broken white",
        "harbour river lighthouse",
    ),
    "farm": Topic(
        "neighbour child farmer shepherd student",
        "sell wash feed admire love",
        "horses hens cows geese",
        "busy old kind tired gentle",
        "little hungry white young old",
        "river barn gate",
    ),
    "kitchen": Topic(
        "neighbour child cook baker guest",
        "share praise taste forget burn",
        "bread soup pie fish cheese",
        "hungry merry busy clumsy kind",
        "fresh hot delicious little",
        "inn window fire",
    ),
    "market": Topic(
        "neighbour traveller merchant farmer baker",
        "sell share buy praise admire",
        "bread cheese apples fish pie",
        "busy merry rich clever poor",
        "fresh cheap little delicious",
        "inn gate harbour",
    ),
    "school": Topic(
        "student child teacher pupil traveller",
        "read copy write forget love",
        "story poem letter lesson book",
        "clever young shy tired kind",
        "long new short old",
        "school library window",
    ),
    "writing": Topic(
        "student traveller poet singer child",
        "write read love burn hide",
        "letter story poem song book",
        "poor sad famous wise shy",
        "long secret sad new beautiful",
        "library window inn",
    ),
    "music": Topic(
        "student singer poet child fiddler",
        "love play write copy forget",
        "song waltz melody",
        "famous shy merry young proud",
        "new sad beautiful long old",
        "theatre inn tower",
    ),
    "painting": Topic(
        "child student traveller painter poet",
        "paint admire draw sell love",
        "boat roses portrait horses lantern",
        "famous poor shy clever young",
        "little beautiful white old new",
        "window harbour theatre",
    ),
    "garden": Topic(
        "neighbour child gardener shepherd traveller",
        "admire sell water pick plant",
        "roses apples beans lilies",
        "gentle old merry proud kind",
        "white beautiful fresh little",
        "gate window river",
    ),
    "castle": Topic(
        "traveller pirate thief dragon knight wizard",
        "hide lose steal guard admire",
        "lantern treasure sword crown letter",
        "proud brave clever wise old",
        "golden old beautiful secret little",
        "tower gate river",
    ),
}

FACTORS = {
    "topic": dict(zip(TOPICS, (6, 5, 4, 4, 3, 3, 2, 2, 2, 2), strict=True)),
    "tense": {"past": 5, "present": 3, "future": 2},
    "number": {"singular": 5, "plural": 2},
    "mood": {"statement": 6, "question": 3, "exclamation": 1},
}

IDLE_VERBS = "laugh wait sing dance sleep"  # what anybody does
PLURALS = {"fisherman": "fishermen", "child": "children", "thief": "thieves"}
THIRD_PERSONS = {"wash": "washes", "copy": "copies"}
PASTS = {
    "lose": "lost",
    "sell": "sold",
    "feed": "fed",
    "read": "read",
    "forget": "forgot",
    "steal": "stole",
    "hide": "hid",
    "draw": "drew",
    "write": "wrote",
    "buy": "bought",
    "sing": "sang",
    "sleep": "slept",
    "copy": "copied",
}

# (mood, tenses) -> pattern -> weight
TEMPLATES = {
    ("statement", "past present"): {
        "the SUBJECT IDLE .": 2,
        "the TRAIT SUBJECT IDLE near the PLACE .": 2,
        "the SUBJECT BE TRAIT WHEN .": 2,
        "the SUBJECT VERB OWNER OBJECT .": 2,
        "the TRAIT SUBJECT VERB OWNER OBJECT .": 3,
        "the SUBJECT VERB OWNER QUALITY OBJECT .": 3,
        "the TRAIT SUBJECT VERB OWNER OBJECT WHEN .": 4,
        "WHEN the SUBJECT VERB OWNER OBJECT near the PLACE .": 3,
        "the SUBJECT near the PLACE VERB OWNER QUALITY OBJECT .": 2,
    },
    ("statement", "future"): {
        "the SUBJECT will IDLE_BASE .": 2,
        "the TRAIT SUBJECT will IDLE_BASE near the PLACE .": 2,
        "the SUBJECT will be TRAIT WHEN .": 2,
        "the SUBJECT will BASE OWNER OBJECT .": 2,
        "the TRAIT SUBJECT will BASE OWNER OBJECT WHEN .": 5,
        "WHEN the SUBJECT will BASE OWNER QUALITY OBJECT .": 4,
        "the TRAIT SUBJECT near the PLACE will BASE OWNER OBJECT .": 3,
    },
    ("question", "past present"): {"BE the SUBJECT TRAIT WHEN ?": 1},
    ("question", "future"): {"will the SUBJECT be TRAIT WHEN ?": 1},
    ("question", "past present future"): {
        "WHY DO the TRAIT SUBJECT IDLE_BASE ?": 2,
        "DO the TRAIT SUBJECT IDLE_BASE near the PLACE WHEN ?": 2,
        "DO the SUBJECT BASE OWNER OBJECT ?": 2,
        "DO the TRAIT SUBJECT BASE OWNER OBJECT WHEN ?": 4,
        "WHY DO the TRAIT SUBJECT BASE OWNER OBJECT ?": 3,
        "WHY DO the SUBJECT near the PLACE BASE OWNER QUALITY OBJECT ?": 2,
    },
    ("exclamation", "past present"): {
        "how TRAIT the SUBJECT BE !": 1,
        "how MANNER the TRAIT SUBJECT IDLE !": 1,
        "how MANNER the SUBJECT VERB OWNER OBJECT !": 3,
        "at last the TRAIT SUBJECT VERB OWNER OBJECT !": 2,
        "the TRAIT SUBJECT never VERB OWNER QUALITY OBJECT !": 3,
    },
    ("exclamation", "future"): {
        "how TRAIT the SUBJECT will be !": 1,
        "how MANNER the TRAIT SUBJECT will IDLE_BASE !": 1,
        "how MANNER the SUBJECT will BASE OWNER OBJECT !": 3,
        "at last the TRAIT SUBJECT will BASE OWNER OBJECT !": 2,
        "the TRAIT SUBJECT will never BASE OWNER QUALITY OBJECT !": 3,
    },
}


@cache
def english() -> ToyLanguage:
    """The toy English: ten topics, three tenses, two numbers, three moods (one instance: it never changes)."""
    templates = tuple(
        Template(pattern, weight, {"mood": (mood,), "tense": tuple(tenses.split())})
        for (mood, tenses), patterns in TEMPLATES.items()
        for pattern, weight in patterns.items()
    )
    return ToyLanguage("english", FACTORS, _words_of_topics() | _words_of_grammar(), templates)


def _words_of_topics() -> dict[str, Slot]:
    subjects: Table = {}
    verbs: Table = {}
    for name, topic in TOPICS.items():
        subjects[name, "singular"] = _ranked(topic.subjects)
        subjects[name, "plural"] = _ranked(topic.subjects, _plural)
        verbs |= {(name, *when): forms for when, forms in _conjugated(topic.verbs).items()}
    columns = {"BASE": "verbs", "OBJECT": "objects", "TRAIT": "traits", "QUALITY": "qualities", "PLACE": "places"}
    return {
        "SUBJECT": Slot(("topic", "number"), subjects),
        "VERB": Slot(("topic", "tense", "number"), verbs),
        **{
            slot: Slot(("topic",), {(name,): _ranked(getattr(topic, column)) for name, topic in TOPICS.items()})
            for slot, column in columns.items()
        },
    }


def _words_of_grammar() -> dict[str, Slot]:
    when = {
        "past": "yesterday today recently once",
        "present": "today often sometimes now",
        "future": "tomorrow today soon someday",
    }
    be = {
        ("past", "singular"): "was",
        ("past", "plural"): "were",
        ("present", "singular"): "is",
        ("present", "plural"): "are",
    }
    do = {
        ("past", "singular"): "did",
        ("past", "plural"): "did",
        ("present", "singular"): "does",
        ("present", "plural"): "do",
        ("future", "singular"): "will",
        ("future", "plural"): "will",
    }
    return {
        "OWNER": Slot(("number",), {("singular",): _ranked("the his her"), ("plural",): _ranked("the their")}),
        "WHEN": Slot(("tense",), {(tense,): _ranked(words) for tense, words in when.items()}),
        "BE": Slot(("tense", "number"), {values: {word: 1.0} for values, word in be.items()}),
        "DO": Slot(("tense", "number"), {values: {word: 1.0} for values, word in do.items()}),
        "IDLE": Slot(("tense", "number"), _conjugated(IDLE_VERBS)),
        "IDLE_BASE": Slot((), {(): _ranked(IDLE_VERBS)}),
        "WHY": Slot((), {(): _ranked("why when where how")}),
        "MANNER": Slot((), {(): _ranked("proudly gladly carefully quickly badly")}),
    }


def _ranked(words: str, inflect: Callable[[str], str] = str) -> dict[str, float]:
    return {inflect(word): 1 / (rank + 3) for rank, word in enumerate(words.split())}


def _conjugated(verbs: str) -> Table:
    """(tense, number) -> forms of the verbs; the future is spelt out in the patterns, `will` and the bare verb."""
    return {
        ("past", "singular"): _ranked(verbs, _past),
        ("past", "plural"): _ranked(verbs, _past),
        ("present", "singular"): _ranked(verbs, _third_person),
        ("present", "plural"): _ranked(verbs),
    }


def _plural(noun: str) -> str:
    return PLURALS.get(noun, noun + "s")


def _third_person(verb: str) -> str:
    return THIRD_PERSONS.get(verb, verb + "s")


def _past(verb: str) -> str:
    return PASTS.get(verb, verb + ("d" if verb.endswith("e") else "ed"))
