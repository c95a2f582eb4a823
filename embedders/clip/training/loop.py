"""Training of an image tower by an objective: AdamW, a running mean, and a clock."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from embedders.clip.params import ClipParams
from embedders.clip.training.average import Average
from embedders.clip.training.batches import Batch, ViewBatches
from embedders.clip.training.checkpoint import load_state, save_state
from embedders.clip.training.objectives import Objective
from embedders.clip.training.schedule import Schedule
from embedders.clip.training.views import ViewRange
from embedders.training import Progress, note

LONGEST_GRADIENT = 5.0

# epoch, its mean loss; called after each
Watch = Callable[[int, float], None]


class ImageTraining:
    """One training: tower, objective, optimiser, and how far it is.

    Args:
        tower: open_clip's `TimmModel`; it is trained in place.
        pixels: uint8 (n, h, w, 3).
        state: where to keep the training's state after each epoch, and where to go on from.
    """

    def __init__(
        self,
        tower: nn.Module,
        objective: Objective,
        pixels: NDArray[np.uint8],
        params: ClipParams,
        device: str,
        state: Path | None = None,
    ) -> None:
        self.params, self._device, self._state = params, device, state
        self._tower = tower.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective = objective.to(device)
        self._average = Average(self._tower, params.average)
        span = ViewRange(params.smallest_crop, params.colour)
        self._batches = ViewBatches(pixels, params.batch, span, params.cutmix, params.seed)
        self._optimizer = optimizer_of([tower, objective], params)
        self.schedule = Schedule(
            len(self._batches) * params.epochs, params.minutes, params.rate, params.sizes
        )
        self.epochs, self.loss = 0, 0.0
        if state is not None and state.exists():
            self._resume(state)

    @property
    def tower(self) -> nn.Module:
        """The running mean of the tower, which is what to keep."""
        return self._average.network

    def run(self, progress: Progress, watch: Watch | None = None) -> None:
        """All epochs that are left."""
        while not self.schedule.ended:
            self._tower.train()
            losses = self._epoch(progress)
            self.epochs += 1
            self.loss = float(np.mean(losses))
            self._save()
            if watch is not None:
                watch(self.epochs, self.loss)

    def _epoch(self, progress: Progress) -> list[float]:
        losses = []
        # one size an epoch: pictures are drawn before the schedule moves on
        views = self._batches.epoch(self.epochs, self.schedule.size, self.objective.views)
        for batch in views:
            losses.append(self._step(batch))
            note(progress, loss=losses[-1])
            progress("train", self.schedule.step, self.schedule.steps)
            if self.schedule.ended:
                break
        return losses

    def _step(self, batch: Batch) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self.schedule.rate
        pixels = batch.pixels.to(self._device, non_blocking=True)
        kind, bfloat16 = torch.device(self._device).type, self.params.bfloat16
        with torch.autocast(kind, torch.bfloat16, enabled=bfloat16):
            pooled = self._tower.trunk(pixels)
            rows = self._tower.head(pooled)
        loss = self.objective(batch, pooled.float(), rows.float())
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._tower.parameters(), LONGEST_GRADIENT)
        self._optimizer.step()
        self.schedule.advance()
        self._average.update(self._tower, self.schedule.step)
        return float(loss.detach())

    @property
    def _modules(self) -> dict[str, nn.Module]:
        return {
            "tower": self._tower,
            "average": self._average.network,
            "objective": self.objective,
        }

    def _save(self) -> None:
        if self._state is None:
            return
        numbers = {
            "epochs": self.epochs,
            "step": self.schedule.step,
            "seconds": self.schedule.seconds,
            "loss": self.loss,
        }
        save_state(self._state, self._modules, self._optimizer, numbers)

    def _resume(self, state: Path) -> None:
        numbers = load_state(state, self._modules, self._optimizer)
        self.epochs, self.loss = int(numbers["epochs"]), numbers["loss"]
        self.schedule.resume(int(numbers["step"]), numbers["seconds"])


def optimizer_of(modules: list[nn.Module], params: ClipParams) -> torch.optim.AdamW:
    """AdamW; weights decay, while biases, scales and norms do not."""
    trained = [p for module in modules for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": params.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=params.rate)
