"""Qwen2 in PyTorch, in the shape of Qwen2.5-0.5B's attention.

Parameter names are Hugging Face's, so that a saved state loads there and in
any converter. Must not know the corpus.

Shapes: B sequences, T tokens, E width, H query heads, G key/value heads, D
head width.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """Geometry; the attention's is Qwen2.5-0.5B's, the rest small."""

    vocab_size: int
    hidden_size: int = 896
    intermediate_size: int = 512
    num_hidden_layers: int = 3
    num_attention_heads: int = 14
    num_key_value_heads: int = 2
    max_position_embeddings: int = 2048
    rope_theta: float = 1e6
    rms_norm_eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    def hugging_face(self, eos: int, pad: int) -> dict:
        """config.json as transformers writes it."""
        return asdict(self) | {
            "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu",
            "tie_word_embeddings": True, "torch_dtype": "float16", "use_sliding_window": False,
            "initializer_range": 0.02, "attention_dropout": 0.0, "eos_token_id": eos, "bos_token_id": pad,
        }


def slow_key_bias(config: Config) -> Tensor:
    """Layer 0's fixed key bias [G*D]: magnitudes 40 to 68 on four slow RoPE pairs, 0 elsewhere.

    Qwen2.5 has such biases. They make an f16 cache round coarsely (one ulp at
    64 is 1/16) and push raw scores past 100, while softmax, which ignores what
    all keys share, hardly sees them: pair i turns by theta^(-2i/D) a token,
    1.3e-5 radians for i = 26 and less beyond. Both halves of a pair, i and
    i + D/2, carry one.
    """
    half = config.head_dim // 2
    bias = torch.zeros(config.num_key_value_heads, config.head_dim)
    for group in range(config.num_key_value_heads):
        for j, pair in enumerate(range(half - 6, half - 2)):
            bias[group, pair] = (40 + 8 * j) * (-1) ** (group + j)
            bias[group, pair + half] = (44 + 8 * j) * (-1) ** (group + j // 2)
    return bias.flatten()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on [B,.,T,D] with NEOX pairs (i, i + D/2); cos and sin are [T,D/2]."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class Attention(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        kv = c.num_key_value_heads * c.head_dim
        self.q_proj = nn.Linear(c.hidden_size, c.hidden_size)
        self.k_proj = nn.Linear(c.hidden_size, kv)
        self.v_proj = nn.Linear(c.hidden_size, kv)
        self.o_proj = nn.Linear(c.hidden_size, c.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, f16_cache: bool) -> Tensor:
        b, t, e = x.shape
        heads = lambda y: y.view(b, t, -1, self.c.head_dim).transpose(1, 2)
        q, k, v = rotate(heads(self.q_proj(x)), cos, sin), rotate(heads(self.k_proj(x)), cos, sin), heads(self.v_proj(x))
        if f16_cache:
            k, v = k.half().float(), v.half().float()
        share = self.c.num_attention_heads // self.c.num_key_value_heads
        k, v = k.repeat_interleave(share, dim=1), v.repeat_interleave(share, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, e))


class MLP(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.input_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.mlp = MLP(c)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, f16_cache: bool) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, f16_cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Qwen2(nn.Module):
    """Tokens [B,T] to logits [B,T,V]; the head is the embedding, tied."""

    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.num_hidden_layers))
        self.norm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self._initialise()

    def _initialise(self) -> None:
        for name, p in self.named_parameters():
            if p.dim() == 2:
                residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=0.02 / (2 * self.c.num_hidden_layers) ** (0.5 if residual else 0))
            elif name.endswith("bias"):
                nn.init.zeros_(p)
        bias, slow = self.layers[0].self_attn.k_proj.bias, slow_key_bias(self.c)
        with torch.no_grad():
            bias.copy_(slow)
        # Adam would turn the rounding noise of a zero gradient into a random walk.
        bias.register_hook(lambda grad: grad * (slow.to(grad.device) == 0))

    def forward(self, tokens: Tensor, f16_cache: bool = False) -> Tensor:
        half = self.c.head_dim // 2
        frequency = self.c.rope_theta ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.outer(torch.arange(tokens.shape[1], dtype=torch.float64), frequency)
        cos, sin = angle.cos().float().to(tokens.device), angle.sin().float().to(tokens.device)
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, cos, sin, f16_cache)
        return F.linear(self.norm(x), self.embed_tokens.weight)

    def stored(self) -> dict[str, Tensor]:
        """The state as saved: matrices F16, norms and biases F32, Hugging Face's names."""
        return {"model." + k: (v.half() if v.dim() == 2 else v.float()).contiguous().cpu()
                for k, v in self.state_dict().items()}
