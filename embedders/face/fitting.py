"""The parts of a face network that are computed, not learnt step by step."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from torch import Tensor

from embedders.face.network import FaceNetwork

# photos that the whitening is computed from, at most; and steps of its subspace iteration
SAMPLE, ROUNDS = 20_000, 4
EXTRA = 40
# of the spread within people, how much is taken to be the same in all directions
SHRINKAGE = 0.1


def fit_whitening(network: FaceNetwork, features: Tensor) -> None:
    """Principal components of features, float32 (n, features), by randomised SVD (Halko 2011)."""
    mean = features.mean(0)
    centred = features - mean
    wanted = network.shape.components
    rank = min(wanted + EXTRA, *centred.shape)
    _, values, directions = torch.svd_lowrank(centred, q=rank, niter=ROUNDS)
    deviations = (values / len(centred) ** 0.5).clamp_min(1e-6)
    network.whitening.mean.copy_(mean)
    network.whitening.turn.copy_((directions / deviations)[:, :wanted])


def fit_discriminant(network: FaceNetwork, rows: NDArray[np.float32], labels: Tensor) -> None:
    """Starts the linear layer as Fisher's discriminant of whitened rows (n, components).

    The directions q with the least spread within people, W q = e q, each divided by e; the
    spread of all is one, since the rows are white. Every person weighs by their photos less one.
    """
    spread = within(rows, labels.numpy())
    count = len(spread)
    mixed = (1 - SHRINKAGE) * spread + SHRINKAGE * np.eye(count)
    values, directions = eigh(mixed)
    dim = min(network.shape.dim, count)
    weights = (directions[:, :dim] / values[:dim]).T
    network.head.linear.weight.data[:dim] = torch.from_numpy(weights.astype(np.float32))


def within(rows: NDArray[np.float32], labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Spread of rows about their person's mean, (components, components), its trace their number.

    The identity where no person has two rows that differ.
    """
    _, person, counts = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, person, rows)
    apart = rows - (sums / counts[:, None])[person]
    apart /= np.sqrt(counts[person])[:, None]
    spread: NDArray[np.float64] = apart.T @ apart
    trace = np.trace(spread)
    if trace <= 0:
        return np.eye(rows.shape[1])
    return np.asarray(spread * (len(spread) / trace), dtype=np.float64)
