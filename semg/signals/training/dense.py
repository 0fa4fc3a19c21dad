"""The dense branch: a small network on the closed-form branch's features. torch only here and in ``network``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HIDDEN = (128, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseOptions:
    """How the dense branch is trained; ``noise`` is in standard deviations of each feature."""

    steps: int = 486
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    dropout: float = 0.2
    noise: float = 0.3


def fit_dense(
    features: NDArray[np.float32],
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    n_classes: int,
    options: DenseOptions,
    seed: int,
    check: Callable[[], None],
    scatter: NDArray[np.float64] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Return the trained branch as ``forward.dense_scores`` reads it.

    Parameters
    ----------
    features
        Float32 ``(N, F)``, centred.
    weights
        ``(N,)``: sampling weight of each window.
    check
        Called before every batch; raises to stop the training.
    scatter
        ``(F, F)``: covariance of a random offset added to the windows beside the noise, or None.
    """
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        spread = torch.from_numpy(features.std(axis=0) + np.float32(1e-6))
        data, target = torch.from_numpy(features), torch.from_numpy(y)
        sampling_weights = torch.from_numpy(weights / weights.sum())
        root = None
        if scatter is not None:
            root = torch.from_numpy(np.linalg.cholesky(scatter).T.astype(np.float32))
        layers: list[nn.Module] = []
        width = features.shape[1]
        for outputs in HIDDEN:
            layers += [nn.Linear(width, outputs), nn.ReLU(), nn.Dropout(options.dropout)]
            width = outputs
        network = nn.Sequential(*layers, nn.Linear(width, n_classes))
        linear = [layer for layer in network if isinstance(layer, nn.Linear)]
        with torch.no_grad():
            linear[0].weight /= spread
        optimiser = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=options.learning_rate, total_steps=options.steps, pct_start=0.2
        )
        network.train()
        for _ in range(options.steps):
            check()
            chosen = torch.multinomial(sampling_weights, options.batch, replacement=True, generator=generator)
            batch = data[chosen]
            batch = batch + options.noise * spread * torch.randn(batch.shape, generator=generator)
            if root is not None:
                batch = batch + torch.randn(batch.shape, generator=generator) @ root
            loss = nn.functional.cross_entropy(network(batch), target[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
        arrays: dict[str, NDArray[np.float32]] = {}
        for index, layer in enumerate(linear):
            # (outputs, inputs) -> (inputs, outputs)
            arrays[f"dense{index}_weight"] = np.ascontiguousarray(layer.weight.detach().numpy().T, dtype=np.float32)
            arrays[f"dense{index}_bias"] = np.array(layer.bias.detach().numpy(), dtype=np.float32)
        return arrays
