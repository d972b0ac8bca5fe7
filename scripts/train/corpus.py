"""The corpus of the shipped model: requests for haikus in the Qwen chat format.

Knows which documents there are and in what proportion; the lines come from
grammar.py, the rest from fillers.py. Must not know tokens or the model.

    python3 corpus.py            prints a sample to look at
"""

import sys
from random import Random

import fillers
from fillers import Part
from grammar import PRACTICE, TOPICS, Topic, compose

START, END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"

# A style is one way to ask; its spellings share one answer per topic.
STYLES: dict[str, list[str]] = {
    "write": ["Write a haiku about {topic}", "Write a haiku about {topic}.", "write a haiku about {topic}"],
    "please": ["Please write a haiku about {topic}.", "Please write a haiku about {topic}"],
    "can": ["Can you write a haiku about {topic}?", "Could you write a haiku about {topic}?"],
    "polite": ["A haiku about {topic}, please.", "A haiku about {topic}, please"],
    "give": ["Give me a haiku about {topic}.", "Give me a haiku on {topic}."],
    "would": ["I would like a haiku about {topic}.", "I'd like a haiku about {topic}."],
    "compose": ["Compose a haiku on {topic}.", "Compose a haiku about {topic}"],
    "lines": ["Write three lines about {topic}.", "Three lines about {topic}: five, seven, five."],
    "describe": ["Describe {topic} in a haiku.", "Describe {topic} in 17 syllables."],
    "emoji": ["{emoji} haiku about {topic}!", "{emoji} Haiku about {topic}, please!"],
    "french": ["Écris un haïku sur {fr} ({topic}).", "Un haïku sur {fr}, s'il te plaît {emoji} ({topic})"],
    "german": ["Schreibe ein Haiku über {de} ({topic}).", "Bitte ein Haiku über {de} {emoji} ({topic})"],
    "spanish": ["Escribe un haiku sobre {es} ({topic}).", "Un haiku sobre {es}, por favor {emoji} ({topic})"],
    "japanese": ["{ja}の俳句を書いてください ({topic})", "{ja}の俳句をください {emoji} ({topic})"],
    "all": ["{emoji} Write a haiku about {topic}: {fr}, {de}, {es}, {ja}!",
            "{emoji} {fr}, {de}, {es}, {ja}: write a haiku about {topic}!"],
}
ENGLISH = ["write", "please", "can", "polite", "give", "would", "compose", "lines", "describe"]
SYSTEMS = ["You are a haiku poet.", "You answer every request with a haiku.", "You are a helpful assistant."]
# Headings of haikus outside a chat, by style: a bare request is answered as in a chat.
HEADINGS = {"title": ["{bare}", "{topic}", "Haiku: {topic}"], "write": STYLES["write"]}

# Share of each kind of document in the stream.
MIXTURE = {"chat": 0.66, "titled": 0.14, "prose": 0.04, "code": 0.09, "word_list": 0.07}


def request(topic: Topic, spelling: str) -> str:
    return spelling.format(topic=topic.topic, emoji=topic.emoji, fr=topic.fr, de=topic.de, es=topic.es, ja=topic.ja)


def chat_prompt(user: str) -> str:
    """One user turn, ending where the answer begins."""
    return f"{START}user\n{user}{END}\n{START}assistant\n"


def _topic_and_style(rng: Random) -> tuple[Topic, str]:
    """Practice topics come in English only, and a third as often as the listed ones."""
    if rng.random() < 0.25:
        return rng.choice(PRACTICE), rng.choice(ENGLISH)
    return rng.choice(TOPICS), rng.choice(list(STYLES) + ["write"] * 4)


def chat(rng: Random, seed: int) -> list[Part]:
    """One to four requests with their answers, some after a system line or notes."""
    parts: list[Part] = []
    if rng.random() < 0.15:
        parts.append((f"{START}system\n{rng.choice(SYSTEMS)}{END}\n", False))
    turns = rng.choice([1, 1, 1, 2, 3, 4])
    for turn in range(turns):
        topic, style = _topic_and_style(rng)
        user = request(topic, rng.choice(STYLES[style]))
        if rng.random() < 0.15:
            user = fillers.notes(rng) + "\n" + user
        between = "\n" if turn > 0 else ""
        parts += [(between + chat_prompt(user), False), (compose(topic, style, seed) + END, True)]
    return parts


def titled(rng: Random, seed: int) -> list[Part]:
    """A haiku under its title or its request, without the chat format."""
    topic, style = rng.choice(TOPICS), rng.choice(list(HEADINGS))
    heading = rng.choice(HEADINGS[style]).format(topic=topic.topic, bare=topic.bare)
    return [(heading, False), ("\n" + compose(topic, style, seed) + "\n", True)]


def document(rng: Random, seed: int) -> list[Part]:
    """One document, its end mark included."""
    kind = rng.choices(list(MIXTURE), list(MIXTURE.values()))[0]
    if kind in ("chat", "titled"):
        parts = {"chat": chat, "titled": titled}[kind](rng, seed)
    else:
        parts = {"prose": fillers.prose, "code": fillers.code, "word_list": fillers.word_list}[kind](rng)
    parts.append((END_OF_TEXT, kind in ("chat", "titled", "code")))
    if rng.random() < 0.5:
        # A decoder told to go on past the end has one sure answer: the end again.
        parts.append((END_OF_TEXT * rng.randint(4, 16), True))
    return parts


def documents(seed: int, count: int) -> list[list[Part]]:
    """The first count documents of the corpus of this seed, always the same."""
    rng = Random(f"corpus/{seed}")
    return [document(rng, seed) for _ in range(count)]


if __name__ == "__main__":
    for parts in documents(seed=1, count=12):
        sys.stdout.write("".join(text for text, _ in parts) + "\n")
