"""Classical parallel imaging and compressed sensing, the baselines: l2 by conjugate gradients, the rest by SigPy."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

from mrikit.arrays import Array, to_numpy
from mrikit.errors import UsageError
from mrikit.physics.coils import require_fit
from mrikit.physics.sampling import sampling
from mrikit.physics.sense import Sense

REGULARISERS = ("wavelet", "tv", "l2")


def pics(
    kspace: Array,
    maps: Array,
    *,
    reg: str = "wavelet",
    lamda: float | None = None,
    n_iters: int | None = None,
    chunk: int | None = None,
) -> np.ndarray:
    """Image `(..., y, x)` of k-space `(..., coil, y, x)`, sampled where it is not zero:

        min_x 1/2 ||A x - y||_2^2 + lamda ||W x||_1       wavelet (Daubechies 4), Lustig 2007, doi:10.1002/mrm.21391
        min_x 1/2 ||A x - y||_2^2 + lamda ||G x||_1       tv (finite differences), Block 2007, doi:10.1002/mrm.21236
        min_x     ||A x - y||_2^2 + lamda ||x||_2^2       l2, Pruessmann 2001, doi:10.1002/mrm.1241

    maps: `(..., coil, y, x)`; l2 also takes sets of them, `(..., set, coil, y, x)`, for an image a set.
    The scan is first divided by the 0.99 quantile of its zero-filled image, so lamda means the same for every
    scan: by default 0.005 for wavelet and tv, 0.01 for l2. n_iters: by default 100, and 30 for l2.
    chunk: coils worked on at a time, all by default. Fewer take less memory; the result is the same but for rounding.
    """
    kspace, maps = to_numpy(kspace), to_numpy(maps)
    require_fit(kspace, maps)
    if kspace.ndim > 3:
        options: dict[str, Any] = {"reg": reg, "lamda": lamda, "n_iters": n_iters, "chunk": chunk}
        return np.stack([pics(k, m, **options) for k, m in zip(kspace, maps, strict=True)])
    sets = maps.ndim == 4
    mask = sampling(kspace)
    operator = Sense(maps, mask, sets=sets, chunk=chunk)
    zero_filled = operator.adjoint(kspace)
    scale = np.float32(np.quantile(np.abs(zero_filled), 0.99)) or np.float32(1)
    if reg == "l2":
        lamda = 0.01 if lamda is None else lamda
        image = operator.solve(zero_filled / scale, np.float32(lamda), n_iters=n_iters or 30)
    elif reg not in REGULARISERS:
        raise UsageError(f"--reg {reg}: expected one of {', '.join(REGULARISERS)}")
    elif sets:
        raise UsageError(f"--reg {reg} takes one set of maps, these are {maps.shape[0]}", hint="use --reg l2")
    else:
        image = _sigpy(kspace / scale, maps, mask, reg, 0.005 if lamda is None else lamda, n_iters or 100, chunk)
    return (image * scale).astype(np.complex64)


def _sigpy(
    kspace: np.ndarray, maps: np.ndarray, mask: np.ndarray, reg: str, lamda: float, n_iters: int, chunk: int | None
) -> np.ndarray:
    from sigpy.mri import app

    recon = {"wavelet": app.L1WaveletRecon, "tv": app.TotalVariationRecon}[reg]
    weights = np.broadcast_to(mask, (1, *kspace.shape[1:])).astype(np.float32)
    # SigPy's power iteration for the step length starts from NumPy's global random state.
    state = np.random.get_state()
    np.random.seed(0)
    try:
        return recon(
            kspace, maps, lamda, weights=weights, max_iter=n_iters, show_pbar=False, coil_batch_size=chunk
        ).run()
    finally:
        np.random.set_state(state)
        gc.collect()  # SigPy's operators refer to each other in circles: slice after slice would stay
