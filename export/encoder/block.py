"""The text encoder as it is exported: BERT (arXiv 1810.04805) without the library's generality.

It shares the original's parameters and computes the same function. What is left out costs time and
changes nothing: masks rebuilt in every run, guards against rows without a token, the division of
the scores (folded into the query's weights), and the lookup of token types, which are all 0.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.encoders.minilm import SentenceEncoder

MASKED = -1e9  # an attention score that becomes exactly 0 in the softmax


class EncoderBlock(nn.Module):
    """Token ids → unit vectors.

    Shapes:
        input_ids, attention_mask: int64 [B, T]; each row has at least one token
        returns: float32 [B, dimension], rows of unit norm
    """

    positions: Tensor  # [max T, d], including the only token type

    def __init__(self, original: SentenceEncoder) -> None:
        super().__init__()
        bert: Any = original.transformer
        embeddings = bert.embeddings
        self.words = embeddings.word_embeddings.weight
        self.norm: nn.Module = embeddings.LayerNorm
        types = embeddings.token_type_embeddings.weight[0]
        self.register_buffer("positions", (embeddings.position_embeddings.weight + types).detach())
        heads = bert.config.num_attention_heads
        self.layers = nn.ModuleList(EncoderLayer(layer, heads) for layer in bert.encoder.layer)
        self.restore: nn.Module = nn.Identity()  # restores the channels' order if it was changed

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        words = F.embedding(input_ids, self.words)
        h = self.norm(words + self.positions[: input_ids.shape[1]])
        mask = attention_mask.to(h.dtype)  # [B, T]
        bias = ((1 - mask) * MASKED)[:, None, None, :]
        for layer in self.layers:
            h = layer(h, bias)
        weights = mask / mask.sum(1, keepdim=True)
        pooled: Tensor = self.restore((weights.unsqueeze(1) @ h).squeeze(1))
        norm = torch.sqrt((pooled * pooled).sum(1, keepdim=True))
        return pooled / norm


class EncoderLayer(nn.Module):
    """h [B, T, d] and the scores' bias [B, 1, 1, T] → h [B, T, d].

    `stream` and `inner` stand before the linear maps of the d channels and of the feed-forward
    network's inner ones; `export.encoder.outliers` replaces them and the maps, the function stays.
    """

    def __init__(self, layer: Any, heads: int) -> None:
        super().__init__()
        attention, out = layer.attention.self, layer.attention.output
        self.heads, self.width = heads, attention.query.out_features // heads
        self.stream: nn.Module = nn.Identity()
        query = scaled(attention.query, self.width**-0.5)
        self.attend: nn.Module = stacked(query, attention.key, attention.value)
        self.out: nn.Module = out.dense
        self.attention_norm: nn.Module = out.LayerNorm
        self.up: nn.Module = layer.intermediate.dense
        self.inner: nn.Module = nn.Identity()
        self.down: nn.Module = layer.output.dense
        self.norm: nn.Module = layer.output.LayerNorm

    def forward(self, h: Tensor, bias: Tensor) -> Tensor:
        parts = self.attend(self.stream(h)).chunk(3, dim=-1)
        query, key, value = (self.split(part) for part in parts)
        scores = query.transpose(1, 2) @ key.permute(0, 2, 3, 1)  # [B, H, T, T]
        attention = torch.softmax(scores + bias, dim=-1)
        context = (attention @ value.transpose(1, 2)).transpose(1, 2).flatten(2)
        h = self.attention_norm(h + self.out(context))
        inner = F.gelu(self.up(self.stream(h)))
        result: Tensor = self.norm(h + self.down(self.inner(inner)))
        return result

    def split(self, h: Tensor) -> Tensor:
        parts: Tensor = h.unflatten(2, (self.heads, self.width))  # [B, T, H, d / H]
        return parts


def scaled(linear: nn.Linear, factor: float) -> nn.Linear:
    """A copy whose outputs are `factor` times the original's."""
    copy = nn.Linear(linear.in_features, linear.out_features)
    with torch.no_grad():
        copy.weight.copy_(linear.weight * factor)
        copy.bias.copy_(linear.bias * factor)
    return copy


def stacked(*linears: nn.Linear) -> nn.Linear:
    """Combines several linear maps into one product with concatenated outputs."""
    result = nn.Linear(linears[0].in_features, sum(linear.out_features for linear in linears))
    with torch.no_grad():
        result.weight.copy_(torch.cat([linear.weight for linear in linears]))
        result.bias.copy_(torch.cat([linear.bias for linear in linears]))
    return result
