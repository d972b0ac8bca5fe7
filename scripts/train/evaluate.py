"""Does the trained model write haikus? Greedy decoding of every request.

Knows how to decode and how to judge; must not know how the model was trained.
Decoding recomputes the whole sequence at every step: slow and simple, and a
cache is not what is examined here.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from tokenizers import Tokenizer

from corpus import END, END_OF_TEXT, STYLES, chat_prompt, request
from grammar import TOPICS, check
from model import Qwen2

PROMPTS = Path(__file__).resolve().parent.parent.parent / "traces" / "prompts"


@dataclass
class Result:
    """How many haikus were right, what was wrong with the others, how sure the model was."""

    asked: int = 0
    right: int = 0
    wrong: list[str] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)

    def summary(self) -> dict:
        """Margins are logit gaps between the first and the second choice, over all tokens."""
        ordered = sorted(self.margins)
        return {"asked": self.asked, "right": self.right, "wrong": self.wrong[:10],
                "margin_min": round(ordered[0], 3), "margin_1_percent": round(ordered[len(ordered) // 100], 3),
                "margin_median": round(ordered[len(ordered) // 2], 3)}


def ends(tokenizer: Tokenizer) -> set[int]:
    return {tokenizer.token_to_id(END), tokenizer.token_to_id(END_OF_TEXT)}


@torch.no_grad()
def greedy(model: Qwen2, prompts: list[list[int]], steps: int, stops: set[int]) -> tuple[list[list[int]], list[list[float]]]:
    """Greedy continuations and the margin of each token; a token of stops ends a sequence and is left out."""
    device = model.embed_tokens.weight.device
    width = max(map(len, prompts)) + steps
    tokens = torch.zeros(len(prompts), width, dtype=torch.long, device=device)
    for i, p in enumerate(prompts):
        tokens[i, : len(p)] = torch.tensor(p)
    at = torch.tensor([len(p) for p in prompts], device=device)
    row = torch.arange(len(prompts), device=device)
    out, margins = [[] for _ in prompts], [[] for _ in prompts]
    done = [False] * len(prompts)
    for _ in range(steps):
        logits = model(tokens[:, : int(at.max())], f16_cache=True)[row, at - 1]
        top = logits.topk(2, dim=-1)
        tokens[row, at] = top.indices[:, 0]
        at += 1
        gap = (top.values[:, 0] - top.values[:, 1]).tolist()
        for i, t in enumerate(top.indices[:, 0].tolist()):
            if done[i]:
                continue
            margins[i].append(gap[i])
            if t in stops:
                done[i] = True
            else:
                out[i].append(t)
        if all(done):
            break
    return out, margins


def haikus(model: Qwen2, tokenizer: Tokenizer, style: str, spelling: int = 0) -> Result:
    """Ask for a haiku about every topic in one style and judge the answers."""
    asks = [chat_prompt(request(t, STYLES[style][spelling])) for t in TOPICS]
    out, margins = greedy(model, [tokenizer.encode(a).ids for a in asks], 60, ends(tokenizer))
    result = Result(asked=len(asks), margins=[m for row in margins for m in row])
    for topic, ids in zip(TOPICS, out):
        text = tokenizer.decode(ids)
        fault = check(text, topic)
        if fault is None:
            result.right += 1
        else:
            result.wrong.append(f"{topic.topic}: {fault}: {text!r}")
    return result


def prompts(model: Qwen2, tokenizer: Tokenizer, steps: int = 40) -> dict[str, dict]:
    """Every prompt file: its length in tokens, what follows, and how surely."""
    found = {}
    for path in sorted(PROMPTS.glob("*.txt")):
        ids = tokenizer.encode(path.read_bytes().decode("utf-8")).ids
        out, margins = greedy(model, [ids], steps, ends(tokenizer))
        found[path.stem] = {"tokens": len(ids), "ids": ids[:8], "text": tokenizer.decode(out[0]),
                            "margin_min": round(min(margins[0]), 3)}
    return found
