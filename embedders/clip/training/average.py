"""A running mean of a network's weights, which is better than the weights themselves."""

from copy import deepcopy

import torch
from torch import nn

# so that the random weights of the start are forgotten soon
START = 10


class Average:
    """Exponential mean of the weights and statistics of `network`, in `self.network`."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Takes in the weights after step number `step`, counted from one."""
        decay = min(self._decay, (1 + step) / (START + step))
        theirs = network.state_dict()
        for name, mine in self.network.state_dict().items():
            if mine.is_floating_point():
                mine.lerp_(theirs[name], 1 - decay)
            else:
                mine.copy_(theirs[name])
