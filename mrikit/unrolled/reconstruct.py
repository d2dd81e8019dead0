"""From measured k-space to an image with an unrolled network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from mrikit import weights
from mrikit.errors import DataError
from mrikit.physics.coils import require_fit
from mrikit.physics.espirit import espirit
from mrikit.physics.masks import acceleration, sampling, undersample
from mrikit.unrolled.model import Config, Unrolled
from mrikit.unrolled.problem import collate, standardise

DEFAULT_MODEL = "flat-small"


@dataclass(frozen=True)
class Result:
    """image: `(y, x)` complex64, in the scan's own scale. maps: those used. accel: N / sampled, achieved."""

    image: np.ndarray
    maps: np.ndarray
    accel: float


@lru_cache(maxsize=4)
def load_model(model: str = DEFAULT_MODEL, device: str = "cpu") -> Unrolled:
    """The network of a default model's name or of a weights file, ready on `device`."""
    tensors, card = weights.load(model)
    if card["architecture"] != "flat":
        raise DataError(f"{model}: holds a {card['architecture']} network, expected flat")
    try:
        network = Unrolled(Config(**card["config"]))
        network.load_state_dict(tensors)
    except (TypeError, RuntimeError) as error:
        raise DataError(f"{model}: the weights do not fit the network that the card describes") from error
    return network.to(device, memory_format=torch.channels_last).eval()


def flat_recon(
    kspace: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    maps: np.ndarray | None = None,
    model: str = DEFAULT_MODEL,
    device: str = "cpu",
) -> Result:
    """Reconstruction of one slice of k-space `(coil, y, x)`, fully sampled or not.

    mask: samples to keep, `(x,)` or `(y, x)`; by default every acquired one. maps: `(coil, y, x)`; by default
    ESPIRiT from the acquired centre. The scale is undone: the image is in the units of `mvue`.
    """
    if mask is not None:
        kspace = undersample(kspace, mask)
    acquired = sampling(kspace)
    if maps is None:
        maps = espirit(kspace)
    require_fit(kspace, maps)
    scan = standardise(kspace, maps, acquired)
    with torch.inference_mode():
        image = load_model(model, device)(collate([scan], device))[-1][0].cpu().numpy()
    if scan.transposed:
        image = image.T
    return Result(np.ascontiguousarray(image * np.float32(scan.scale)), maps, acceleration(acquired))
