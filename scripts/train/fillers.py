"""Text that is no haiku: notes in prose, code, and word lists in five languages.

The shipped model sees these so that a prompt of code or of notes is not wholly
out of its distribution. Each function draws one document from a generator.
A document is a list of (text, known) parts: known is whether the text follows
from what stands before it. The trainer weighs parts that do not follow lightly,
since no model can predict a coin.
"""

from random import Random

from grammar import LEXICON, TOPICS

Part = tuple[str, bool]

NOTES = [
    "In the morning we walked to the {n} and saw {t}.",
    "The {a} {n} near the {n} was gone.",
    "It was a {a} day, and nobody spoke about {t}.",
    "She carried a {n}, a {n} and an old map.",
    "By noon the {n} looked {a} again.",
    "He told us a story about {t}, and we laughed.",
    "We rested by the {n}; the air was {a}.",
    "My notes say: {a} light, {a} {n}, no wind.",
    "Later there was {t}, just as the book had promised.",
    "At {h} o'clock the train left without us.",
    "The children asked why the {n} was {a}.",
    "Nothing happened for an hour.",
    "We wrote down the word for {t} in four languages.",
    "On the way back we counted {h} birds over the {n}.",
]

HOURS = ["two", "three", "four", "six", "nine", "ten"]

# What a function of each name does to an accumulator, in Go and in Python.
FOLDS = {
    "sum": ("0", "{acc} += {x}", "{acc} += {x}"),
    "product": ("1", "{acc} *= {x}", "{acc} *= {x}"),
    "count": ("0", "{acc}++", "{acc} += 1"),
    "energy": ("0", "{acc} += {x} * {x}", "{acc} += {x} * {x}"),
}
NAMES = {"values": "value", "rows": "row", "tokens": "token", "scores": "score", "heads": "head", "weights": "weight"}
TYPES = ("float64", "float32", "int")


def notes(rng: Random) -> str:
    """Three to twenty sentences of notes from a walk."""
    pool = LEXICON[rng.choice(["water", "sky", "season", "animal", "plant", "place", "thing", "heart"])]

    def sentence() -> str:
        out = rng.choice(NOTES)
        for slot, draw in (("{n}", lambda: rng.choice(pool["nouns"])), ("{a}", lambda: rng.choice(pool["adjectives"])),
                           ("{t}", lambda: rng.choice(TOPICS).topic), ("{h}", lambda: rng.choice(HOURS))):
            while slot in out:
                out = out.replace(slot, draw(), 1)
        return out

    return " ".join(sentence() for _ in range(rng.randint(3, 20)))


def prose(rng: Random) -> list[Part]:
    return [(notes(rng) + "\n", False)]


def code(rng: Random) -> list[Part]:
    """A fold over a slice, in Go or Python: all that follows the header is known."""
    fold, many = rng.choice(list(FOLDS)), rng.choice(list(NAMES))
    one, kind = NAMES[many], rng.choice(TYPES)
    zero, go, python = FOLDS[fold]
    if rng.random() < 0.6:
        used = "_" if fold == "count" else one
        step = go.format(acc="total", x=one)
        return [(f"// {fold} folds {many} into one {kind}.\n", False),
                (f"func {fold}({many} []{kind}) {kind} {{\n\tvar total {kind} = {zero}\n"
                 f"\tfor _, {used} := range {many} {{\n\t\t{step}\n\t}}\n\treturn total\n}}\n", True)]
    step = python.format(acc="total", x=one)
    return [(f"# {fold} folds {many} into one {kind}.\n", False),
            (f"def {fold}({many}):\n    total = {zero}\n    for {one} in {many}:\n        {step}\n    return total\n", True)]


def word_list(rng: Random) -> list[Part]:
    """Lines such as "🌊 the sea · la mer · das Meer · el mar · 海"."""
    parts: list[Part] = []
    for t in rng.sample(TOPICS, rng.randint(1, 5)):
        parts += [(f"{t.emoji} {t.topic}", False), (f" · {t.fr} · {t.de} · {t.es} · {t.ja}\n", True)]
    return parts
