"""A byte-level BPE tokenizer like Qwen2's, with a small vocabulary.

Knows Qwen2's way of cutting text (llama.cpp: LLAMA_VOCAB_PRE_TYPE_QWEN2) and
where its special tokens sit: behind the merges. Must not know the model.
"""

import re
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from corpus import END, END_OF_TEXT, START
from fillers import Part

VOCABULARY = 2048
SPECIALS = [END_OF_TEXT, START, END]

# tokenizer.json of Qwen/Qwen2-0.5B, pre_tokenizer: a digit is a token of its own.
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def train(docs: Iterable[list[Part]]) -> Tokenizer:
    """A tokenizer of at most VOCABULARY tokens: the 256 bytes, merges, then the specials."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - len(SPECIALS), show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    cut = re.compile("|".join(re.escape(s) for s in SPECIALS))
    tokenizer.train_from_iterator((cut.sub("", text) for parts in docs for text, _ in parts), trainer)
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer
