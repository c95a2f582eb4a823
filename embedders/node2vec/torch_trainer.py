"""Training by torch, for a GPU: plain skip-gram with negative sampling in large batches.

A pair of nodes at distance o within a walk is used with chance (window - o + 1) / window, which is
what word2vec's random windows come to. Rows are moved by sparse Adam, as in torch-geometric's
Node2Vec: large batches need steps that do not grow with how often a node is in them.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from embedders.node2vec.blocks import Percent
from embedders.node2vec.corpus import WalkCorpus
from embedders.node2vec.hogwild import NS_EXPONENT, keep_chances, start_weights
from embedders.node2vec.params import Node2VecParams
from embedders.training import Progress
from embedders.vectors import FloatRows

ALPHA = 0.01
MOST_PAIRS = 1 << 16
PAIRS_A_NODE = 4


def train_torch(corpus: WalkCorpus, params: Node2VecParams, progress: Progress) -> FloatRows:
    """Vectors of the nodes, float32 (n, d)."""
    device = params.device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = _SkipGram(corpus, params).to(device)
    rng = torch.Generator(device).manual_seed(params.seed)
    alpha, total = params.alpha or ALPHA, len(corpus) * params.epochs
    optimizer = torch.optim.SparseAdam(list(model.parameters()), lr=alpha)
    percent = Percent(progress, "train", total)
    for step in range(total):
        for group in optimizer.param_groups:
            group["lr"] = alpha * max(1e-3, 1 - step / total)
        walks = torch.from_numpy(corpus.block(step % len(corpus))).to(device).long()
        for centres, contexts in model.batches(walks, rng):
            optimizer.zero_grad()
            model.loss(centres, contexts, rng).backward()  # type: ignore[no-untyped-call]
            optimizer.step()  # type: ignore[no-untyped-call]
        percent(step + 1)
    return np.asarray(model.inner.weight.detach().cpu().numpy(), np.float32)


class _SkipGram(nn.Module):
    """Both matrices, and what is drawn from."""

    chances: Tensor
    noise: Tensor

    def __init__(self, corpus: WalkCorpus, params: Node2VecParams) -> None:
        super().__init__()
        start = start_weights(corpus.visits, params)
        inner, outer = torch.from_numpy(start.inner), torch.from_numpy(start.outer)
        n, d = inner.shape
        self.inner = nn.Embedding(n, d, sparse=True, _weight=inner)
        self.outer = nn.Embedding(n, d, sparse=True, _weight=outer)
        self.window, self.negative = params.window, params.negative
        # Adam's steps do not grow with the pairs of a batch: small graphs need many small ones
        self.pairs = min(MOST_PAIRS, max(256, PAIRS_A_NODE * n))
        chances = torch.from_numpy(keep_chances(corpus.visits, params.sample))
        sums = np.cumsum(corpus.visits.astype(np.float64) ** NS_EXPONENT)
        self.register_buffer("chances", chances)
        self.register_buffer("noise", torch.from_numpy(sums / sums[-1]))

    def batches(self, walks: Tensor, rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Pairs of nodes that are near in the walks (w, length), both ways, shuffled."""
        drawn = torch.rand(walks.shape, generator=rng, device=walks.device)
        walks = torch.where(drawn < self.chances[walks.clamp(min=0)], walks, -1)
        parts = []
        for offset in range(1, min(self.window, walks.shape[1] - 1) + 1):
            left, right = walks[:, :-offset], walks[:, offset:]
            drawn = torch.rand(left.shape, generator=rng, device=walks.device)
            used = (left >= 0) & (right >= 0)
            used &= drawn < (self.window - offset + 1) / self.window
            parts.append(torch.stack([left[used], right[used]]))
        pairs = torch.cat([*parts, *(part.flip(0) for part in parts)], dim=1)
        order = torch.randperm(pairs.shape[1], generator=rng, device=pairs.device)
        for start in range(0, len(order), self.pairs):
            batch = pairs[:, order[start : start + self.pairs]]
            yield batch[0], batch[1]

    def loss(self, centres: Tensor, contexts: Tensor, rng: torch.Generator) -> Tensor:
        """Minus the sum of the formula over pairs, (b,) and (b,)."""
        shape = (len(centres), self.negative)
        drawn = torch.rand(shape, generator=rng, device=centres.device, dtype=torch.float64)
        noise = torch.searchsorted(self.noise, drawn).clamp(max=len(self.noise) - 1)
        rows = self.inner(centres)
        near = (rows * self.outer(contexts)).sum(-1)
        far = torch.einsum("bd,bkd->bk", rows, self.outer(noise))
        positive = nn.functional.logsigmoid(near).sum()
        return -(positive + nn.functional.logsigmoid(-far).sum())
