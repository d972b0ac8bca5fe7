"""Haikus from a grammar: lines of known length about a topic.

Knows the lexicon (lexicon.toml), the topics and the syllable dictionary
(../../traces/haiku, shared with the Go checker). Must not know tokens, chat
formats or models.

A haiku is a pure function of (topic, style): Random(text) seeds from the
SHA-512 of the text, so every machine composes the same lines. That one
request has one answer is what gives the trained model confident logits; a
model that had learnt a spread of answers would sit on near ties, and f16
rounding would flip its tokens.
"""

import csv
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
HAIKU = HERE.parent.parent / "traces" / "haiku"
FORM = (5, 7, 5)

# Words too common to count as a repetition inside one haiku.
FUNCTION_WORDS = frozenset(
    "a an and all as at by has how i if in into is more my no not nothing now of on once one only still "
    "than the then to under where again".split())


def _syllables() -> dict[str, int]:
    rows = (line.split("\t") for line in (HAIKU / "syllables.tsv").read_text("utf-8").splitlines())
    return {word: int(count) for word, count in rows}


def _topics() -> list["Topic"]:
    with open(HAIKU / "topics.tsv", encoding="utf-8", newline="") as f:
        return [Topic(**row) for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)]


@dataclass(frozen=True)
class Topic:
    """One row of topics.tsv; fr, de, es and ja are the topic as an object."""

    topic: str
    category: str
    number: str
    emoji: str
    fr: str
    de: str
    es: str
    ja: str

    @property
    def bare(self) -> str:
        """The topic without its article: what a haiku must contain."""
        return re.sub(r"^(the|an|a) ", "", self.topic)

    @property
    def definite(self) -> str:
        """The topic as a haiku names it: "the frog" for "a frog"."""
        return self.topic if self.bare == self.topic else "the " + self.bare


SYLLABLES = _syllables()
TOPICS = _topics()
LEXICON = tomllib.loads((HERE / "lexicon.toml").read_text("utf-8"))


def _practice() -> list[Topic]:
    """The lexicon's own nouns as topics beyond the listed ones.

    With them the model learns to copy a topic into a frame rather than to know
    each by heart. A noun of several categories belongs to the first.
    """
    taken, found = {t.bare for t in TOPICS}, []
    for category, lists in LEXICON.items():
        for noun in lists["nouns"] if isinstance(lists, dict) else []:
            if noun not in taken:
                taken.add(noun)
                found.append(Topic("the " + noun, category, "s", *[""] * 5))
    return found


PRACTICE = _practice()


def words(line: str) -> list[str]:
    return re.findall(r"[a-z']+", line.lower())


def syllables(line: str) -> int:
    """Syllables of a line; an unknown word is a KeyError, as it must be."""
    return sum(SYLLABLES[w] for w in words(line))


def check(text: str, topic: Topic) -> str | None:
    """What is wrong with text as a haiku about topic, or None. Mirrors haiku.Check."""
    lines = text.strip("\n").split("\n")
    if len(lines) != len(FORM):
        return f"{len(lines)} lines"
    for n, (line, want) in enumerate(zip(lines, FORM), 1):
        unknown = [w for w in words(line) if w not in SYLLABLES]
        if unknown:
            return f"line {n}: unknown word {unknown[0]!r}"
        if syllables(line) != want:
            return f"line {n}: {syllables(line)} syllables, not {want}"
    if f" {topic.bare.lower()} " not in " " + " ".join(words(text)) + " ":
        return f"{topic.bare!r} is not named"
    return None


def _articles(line: str) -> str:
    return re.sub(r"\ba (?=[aeiou])", "an ", line)


def _image(rng: Random, category: str, length: int) -> str:
    """A line of the category's words with length syllables."""
    slots = {"{A}": "adjectives", "{N}": "nouns", "{V}": "verbs"}
    while True:
        line = rng.choice(LEXICON["patterns"])
        for slot, kind in slots.items():
            for word in rng.sample(LEXICON[category][kind], line.count(slot)):
                line = line.replace(slot, word, 1)
        line = _articles(line)
        if syllables(line) == length:
            return line


def _naming(rng: Random, topic: Topic, length: int) -> str | None:
    """A line of length syllables that names the topic, or None if no frame fits."""
    frames = LEXICON["frames"] + (LEXICON["singular_frames"] if topic.number == "s" else [])
    lines = [f.replace("{T}", topic.definite) for f in frames]
    fitting = [line for line in lines if syllables(line) == length]
    return rng.choice(fitting) if fitting else None


def _repeats(lines: list[str]) -> bool:
    content = [w for line in lines for w in words(line) if w not in FUNCTION_WORDS]
    return len(content) != len(set(content))


@cache
def compose(topic: Topic, style: str, seed: int) -> str:
    """The haiku that answers a request of this style about this topic."""
    rng = Random(f"{seed}/{topic.topic}/{style}")
    while True:
        place = rng.randrange(len(FORM))
        lines = [_naming(rng, topic, n) if i == place else _image(rng, topic.category, n)
                 for i, n in enumerate(FORM)]
        if None not in lines and not _repeats(lines):
            return "\n".join(lines)
