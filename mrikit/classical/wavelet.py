"""L1-wavelet compressed sensing of SigPy's parts, with BART's wavelets and its random shifts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

WAVELET = "db2"
SHIFTS = 16  # samples along y and x that the grid of the wavelets may be away from where it was


class Shifted:
    """A proximal operator on an image `(y, x)`, every time on another circular shift of it.

    Wavelets alone see edges differently from place to place, which leaves blocks. Coifman and Donoho 1995,
    doi:10.1007/978-1-4612-2544-7_9; at random, one a step: Figueiredo and Nowak 2003, doi:10.1109/TIP.2003.814255.
    """

    def __init__(self, inner: Callable[[float, np.ndarray], np.ndarray], rng: np.random.Generator) -> None:
        self.inner, self.rng = inner, rng

    def __call__(self, alpha: float, image: np.ndarray) -> np.ndarray:
        y, x = self.rng.integers(0, SHIFTS, 2)
        return np.roll(self.inner(alpha, np.roll(image, (y, x), (0, 1))), (-y, -x), (0, 1))


def l1_wavelet(
    kspace: np.ndarray, maps: np.ndarray, mask: np.ndarray, lamda: float, n_iters: int, chunk: int | None
) -> np.ndarray:
    """Image `(y, x)` of k-space `(coil, y, x)`, sampled by `mask` `(x,)` or `(y, x)`: `n_iters` steps of FISTA."""
    from sigpy import linop, prox
    from sigpy.app import LinearLeastSquares
    from sigpy.mri.linop import Sense

    weights = np.broadcast_to(mask, (1, *kspace.shape[1:])).astype(np.float32)
    wavelet = linop.Wavelet(maps.shape[1:], wave_name=WAVELET)
    shrink = prox.UnitaryTransform(prox.L1Reg(wavelet.oshape, lamda), wavelet)
    sense = Sense(maps, weights=weights, coil_batch_size=chunk)
    shifted = Shifted(shrink, np.random.default_rng(0))
    return LinearLeastSquares(sense, kspace, proxg=shifted, max_iter=n_iters, show_pbar=False).run()
