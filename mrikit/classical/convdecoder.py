"""ConvDecoder: an untrained network fitted to what was measured of one slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrikit.arrays import Array
from mrikit.errors import UsageError
from mrikit.physics.scan import SliceWatch, prepare, slices, stacked, unwatched, virtual_coils
from mrikit.physics.sense import Sense
from mrikit.rng import generator

N_ITERS = 1000
LEARNING_RATE = 8e-3
FEATURES, LAYERS = 160, 8


@dataclass(frozen=True)
class Fit:
    """image: `(y, x)` complex64, in the scan's own scale. error: ||A x - y|| / ||y|| of it."""

    image: np.ndarray
    error: float


def fit(
    kspace: np.ndarray,
    maps: np.ndarray,
    number: int = 0,
    *,
    n_iters: int = N_ITERS,
    seed: int = 0,
    device: str = "cpu",
    features: int = FEATURES,
    watch: SliceWatch = unwatched,
) -> Fit:
    """Fit a network G to one slice of k-space `(coil, y, x)`, sampled where it is not zero, through its maps:

        min_w ||A G_w(z) - y||^2,     z noise that stays, w from random weights on, by Adam.

    The image is the one of the smallest error on the way. Nothing but `kspace` and `maps` is known to it, in the scale
    neither. Slice `number` has random numbers of its own; on the CPU the same ones give the same image.
    watch: gets the share of the iterations that is done, and how well the image fits.

    Raises DataError where the maps do not fit or are several sets. Source: doi:10.1109/TCI.2021.3097596.
    """
    import torch

    from mrikit.nets.channels import to_complex
    from mrikit.nets.convdecoder import START, ConvDecoder

    if n_iters < 1:
        raise UsageError(f"--iters {n_iters}: expected at least 1")
    scan = prepare(kspace, maps=maps, method="convdecoder").scan
    y, coils = (torch.from_numpy(np.ascontiguousarray(a))[None].to(device) for a in (scan.kspace, scan.maps))
    y, coils = virtual_coils(y, coils, scan.axes)
    operator = Sense(coils, torch.from_numpy(scan.mask).to(device), axes=scan.axes)
    energy = torch.linalg.vector_norm(y) ** 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, "convdecoder", number).integers(2**62)))
        network = ConvDecoder(scan.maps.shape[-2:], features=features, n_layers=LAYERS)
        noise = torch.rand(1, features, *START)
    network, noise = (x.to(device, memory_format=torch.channels_last) for x in (network, noise))
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    lowest, image = float("inf"), torch.zeros(())
    for k in range(1, n_iters + 1):
        x = to_complex(network(noise))
        loss = torch.linalg.vector_norm(operator.forward(x) - y) ** 2 / energy
        if (reached := loss.item()) < lowest:
            lowest, image = reached, x.detach()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        watch(k / n_iters, f"iteration {k} of {n_iters}, fit error {lowest**0.5:.4f}")
    shown = image[0].cpu().numpy() * np.any(scan.maps, axis=0)  # nothing is known where there are no maps
    return Fit(scan.rescale(shown).astype(np.complex64), lowest**0.5)


def convdecoder(
    kspace: Array, maps: Array, *, n_iters: int = N_ITERS, seed: int = 0, device: str = "cpu"
) -> np.ndarray:
    """Image `(..., y, x)` complex64 of k-space `(..., coil, y, x)` and maps of the same shape, as `fit` makes it."""
    images = [
        fit(one, its_maps, number, n_iters=n_iters, seed=seed, device=device).image
        for number, (one, _, its_maps) in enumerate(slices(kspace, None, maps))
    ]
    return stacked(images, kspace)
