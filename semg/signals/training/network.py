"""The convolutional branch as a torch module, only for training; ``forward`` serves what it exports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShape:
    """Sizes of the network; ``layers`` are (outputs, width in samples, stride)."""

    n_channels: int
    window_samples: int
    n_classes: int
    layers: tuple[tuple[int, int, int], ...]


def network_shape(n_channels: int, window_samples: int, n_classes: int, rate_hz: float) -> NetworkShape:
    """Return a network whose receptive fields are durations, whatever the sampling rate.

    The first layer looks at 25 ms every 5 ms; after it all rates are equivalent. Layers that do not fit a short
    window are narrowed.
    """
    wanted = ((32, max(3, round(0.025 * rate_hz)), max(1, round(0.005 * rate_hz))), (48, 5, 2), (64, 3, 1))
    layers, length = [], window_samples
    for outputs, width, stride in wanted:
        width = min(width, length)
        length = (length - width) // stride + 1
        layers.append((outputs, width, stride))
    return NetworkShape(n_channels=n_channels, window_samples=window_samples, n_classes=n_classes, layers=tuple(layers))


class Network(nn.Module):
    """Strided convolutions with batch normalisation, mean and spread over time, one linear layer."""

    def __init__(self, shape: NetworkShape, dropout: float = 0.3) -> None:
        super().__init__()
        self.shape = shape
        convolutions, norms, inputs = [], [], shape.n_channels
        for outputs, width, stride in shape.layers:
            convolutions.append(nn.Conv1d(inputs, outputs, width, stride))
            norms.append(nn.BatchNorm1d(outputs))
            inputs = outputs
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList(norms)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * inputs, shape.n_classes)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Return logits ``(N, K)`` of scaled windows ``(N, C, T)``."""
        held = windows
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            held = torch.relu(norm(convolution(held)))
        spread = torch.sqrt(held.square().mean(dim=2) + 1e-6)
        pooled = torch.cat([held.mean(dim=2), spread], dim=1)
        logits: torch.Tensor = self.head(self.dropout(pooled))
        return logits


def export(network: Network) -> dict[str, NDArray[np.float32]]:
    """Return the arrays that ``forward.network_scores`` reads, batch normalisation folded into the weights."""
    arrays: dict[str, NDArray[np.float32]] = {}
    for index, (convolution, norm) in enumerate(zip(network.convolutions, network.norms, strict=True)):
        assert isinstance(convolution, nn.Conv1d)
        assert isinstance(norm, nn.BatchNorm1d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert convolution.bias is not None
        gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        weight = (convolution.weight * gain[:, None, None]).detach()
        bias = ((convolution.bias - norm.running_mean) * gain + norm.bias).detach()
        # (outputs, inputs, width) -> (width * inputs, outputs)
        arrays[f"conv{index}_weight"] = np.ascontiguousarray(
            weight.permute(2, 1, 0).reshape(-1, weight.shape[0]).numpy(), dtype=np.float32
        )
        arrays[f"conv{index}_bias"] = np.array(bias.numpy(), dtype=np.float32)
        arrays[f"conv{index}_stride"] = np.array([convolution.stride[0]], dtype=np.float32)
    arrays["head_weight"] = np.array(network.head.weight.detach().numpy(), dtype=np.float32)
    arrays["head_bias"] = np.array(network.head.bias.detach().numpy(), dtype=np.float32)
    return arrays
