"""Train the shipped model on the corpus, judge it, and save it for Hugging Face.

    python3 train.py --out DIR [--steps N] [--seed N]

Writes DIR/model.safetensors (F16), config.json, tokenizer.json,
tokenizer_config.json and training.json (loss, shares of right haikus, what each
prompt yields). Needs a CUDA GPU, PyTorch, tokenizers, safetensors and, for the
cross-check, transformers. The scripts/safetensors2gguf command makes the GGUF.

Batches alternate between many short rows, which start where a prompt would,
and fewer long ones, which teach contexts of a thousand tokens.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer

import corpus
import evaluate
import tokenizer as bpe
from model import Config, Qwen2

DOCUMENTS = 60_000
TOKENIZER_DOCUMENTS = 8_000
BATCH_TOKENS = 32_768
ROW_LENGTHS = (128, 1024)
PEAK_RATE, WARM_UP, WEIGHT_DECAY = 1e-3, 100, 0.05
UNKNOWN_WEIGHT = 0.1  # of tokens that do not follow from their context
TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


class Stream:
    """Documents as one shuffled run of tokens, cut into rows that begin where a document does."""

    def __init__(self, tokenizer: Tokenizer, seed: int):
        self.rng = np.random.default_rng(seed)
        self.docs, self.weights = [], []
        for parts in corpus.documents(seed, DOCUMENTS):
            encoded = [(e.ids, known) for e, (_, known) in
                       zip(tokenizer.encode_batch([text for text, _ in parts]), parts)]
            self.docs.append(np.concatenate([np.array(ids, dtype=np.int64) for ids, _ in encoded]))
            self.weights.append(np.concatenate(
                [np.full(len(ids), 1.0 if known else UNKNOWN_WEIGHT, dtype=np.float32) for ids, known in encoded]))
        self.shuffle()

    def shuffle(self) -> None:
        order = self.rng.permutation(len(self.docs))
        self.tokens = torch.from_numpy(np.concatenate([self.docs[i] for i in order])).cuda()
        self.weight = torch.from_numpy(np.concatenate([self.weights[i] for i in order])).cuda()
        self.starts = np.cumsum([0] + [len(self.docs[i]) for i in order[:-1]])

    def batch(self, length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Inputs, targets and target weights, each [BATCH_TOKENS/length, length]."""
        usable = self.starts[self.starts + length < len(self.tokens)]
        begin = torch.from_numpy(self.rng.choice(usable, BATCH_TOKENS // length)).cuda()
        index = begin[:, None] + torch.arange(length + 1, device="cuda")
        rows, weight = self.tokens[index], self.weight[index]
        return rows[:, :-1], rows[:, 1:], weight[:, 1:]


def rate(step: int, steps: int) -> float:
    """Learning rate: linear warm-up, then a cosine down to nothing."""
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / WARM_UP
    return PEAK_RATE * 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / max(1, steps - WARM_UP)))


def fit(model: Qwen2, stream: Stream, steps: int) -> list[dict]:
    """Train; returns the log. Loss is nats per token, over the tokens that follow from their context."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() != 2]
    optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}],
                                  betas=(0.9, 0.95), fused=True)
    log, begun = [], time.monotonic()
    for step in range(steps):
        if step and step % 500 == 0:
            stream.shuffle()
        tokens, targets, weight = stream.batch(ROW_LENGTHS[step % len(ROW_LENGTHS)])
        losses = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten(), reduction="none")
        w = weight.flatten()
        ((losses * w).sum() / w.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = rate(step, steps)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if step % 100 == 0 or step == steps - 1:
            known = losses[w == 1.0].mean().item()
            log.append({"step": step, "loss": round(known, 5), "seconds": round(time.monotonic() - begun, 1)})
            print(json.dumps(log[-1]), flush=True)
    return log


def cross_check(out: Path, model: Qwen2, ids: list[int]) -> float:
    """Largest difference between our logits and those of transformers on the saved files."""
    from transformers import AutoModelForCausalLM
    theirs = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).cuda()
    tokens = torch.tensor([ids], device="cuda")
    with torch.no_grad():
        return (theirs(tokens).logits - model(tokens)).abs().max().item()


def round_to_f16(model: Qwen2) -> dict[str, torch.Tensor]:
    """Round the model to what is stored, so that what is judged is what is saved; returns the stored tensors."""
    torch.backends.cuda.matmul.allow_tf32 = False
    stored = model.stored()
    model.load_state_dict({k.removeprefix("model."): v.float() for k, v in stored.items()})
    return stored


def save(out: Path, stored: dict[str, torch.Tensor], config: Config, tokenizer: Tokenizer) -> None:
    """Write a checkpoint folder as Hugging Face lays it out."""
    end, pad = (tokenizer.token_to_id(s) for s in (corpus.END, corpus.END_OF_TEXT))
    save_file(stored, out / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "config.json").write_text(json.dumps(config.hugging_face(end, pad), indent=2) + "\n")
    (out / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "Qwen2Tokenizer", "eos_token": corpus.END, "pad_token": corpus.END_OF_TEXT,
         "add_bos_token": False, "chat_template": TEMPLATE}, indent=2) + "\n")


def judge(out: Path, model: Qwen2, tokenizer: Tokenizer) -> dict:
    """What the saved model can do, for training.json."""
    probe = tokenizer.encode(corpus.chat_prompt("Write a haiku about the sea")).ids
    return {
        "haikus": {style: evaluate.haikus(model, tokenizer, style).summary() for style in corpus.STYLES},
        "prompts": evaluate.prompts(model, tokenizer),
        "transformers_max_logit_difference": cross_check(out, model, probe),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(args.seed)
    # TF32 keeps 10 bits, as F16 does. bf16's 7 would round the large key biases by a quarter.
    torch.backends.cuda.matmul.allow_tf32 = True
    tokenizer = bpe.train(corpus.documents(args.seed, TOKENIZER_DOCUMENTS))
    stream = Stream(tokenizer, args.seed)
    config = Config(vocab_size=tokenizer.get_vocab_size())
    print(f"{config.vocab_size} tokens in the vocabulary, {len(stream.tokens)} in the corpus", flush=True)
    model = Qwen2(config).cuda()
    log = fit(model, stream, args.steps)

    save(args.out, round_to_f16(model), config, tokenizer)
    report = {"seed": args.seed, "steps": args.steps, "batch_tokens": BATCH_TOKENS, "vocabulary": config.vocab_size,
              "machine": torch.cuda.get_device_name(), "torch": torch.__version__, "loss": log[-1]["loss"],
              **judge(args.out, model, tokenizer), "log": log}
    (args.out / "training.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps({k: v for k, v in report.items() if k != "log"}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
