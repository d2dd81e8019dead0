"""Classical parallel imaging and compressed sensing, the baselines: l2 by conjugate gradients, the rest by SigPy."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mrikit.arrays import Array, to_numpy
from mrikit.classical.wavelet import l1_wavelet
from mrikit.errors import UsageError
from mrikit.physics.coils import require_fit
from mrikit.physics.sampling import sampling
from mrikit.physics.sense import Sense

LAMBDAS = {"wavelet": 0.002, "tv": 0.005, "l2": 0.01}  # by default
REGULARISERS = tuple(LAMBDAS)
# Of total variation. SigPy's own choice, primal-dual steps from zero, converges slowly: behind random lines of R = 4 a
# real head is 5 dB worse after 100 of them, and 1 dB after 1,000, than after 40 of these, in a sixth of the time.
ADMM = {"solver": "ADMM", "rho": 0.1, "max_cg_iter": 5}


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

        min_x 1/2 ||A x - y||_2^2 + lamda ||W x||_1       wavelet (Daubechies 2), Lustig 2007, doi:10.1002/mrm.21391
        min_x 1/2 ||A x - y||_2^2 + lamda ||G x||_1       tv (finite differences), Block 2007, doi:10.1002/mrm.21236
        min_x     ||A x - y||_2^2 + lamda ||x||_2^2       l2, Pruessmann 2001, doi:10.1002/mrm.1241

    maps: `(..., coil, y, x)`; l2 also takes sets of them, `(..., set, coil, y, x)`, for an image a set.
    The scan is first divided by the 0.99 quantile of its zero-filled image, so lamda means the same for every
    scan: by default 0.002 for wavelet, 0.005 for tv, 0.01 for l2. n_iters: by default 100 of FISTA for wavelet, each on
    another shift of the image, 40 of ADMM for tv, begun with the l2 image, and 30 of conjugate gradients for l2. The
    image is zero where no coil is sensitive.
    chunk: coils worked on at a time, all by default. Fewer take less memory; the result is the same but for rounding.

    Raises DataError where maps do not fit, UsageError where `reg` or `lamda` cannot be.
    """
    kspace, maps = to_numpy(kspace), to_numpy(maps)
    require_fit(kspace, maps)
    if reg not in REGULARISERS:
        raise UsageError(f"--reg {reg}: expected one of {', '.join(REGULARISERS)}")
    if lamda is not None and not 0 <= lamda < np.inf:
        raise UsageError(f"--lambda {lamda:g}: expected a number from 0 up")
    if kspace.ndim > 3:
        options: dict[str, Any] = {"reg": reg, "lamda": lamda, "n_iters": n_iters, "chunk": chunk}
        return np.stack([pics(k, m, **options) for k, m in zip(kspace, maps, strict=True)])
    sets = maps.ndim == 4
    mask = sampling(kspace)
    operator = Sense(maps, mask, sets=sets, chunk=chunk)
    zero_filled = operator.adjoint(kspace)
    scale = np.float32(np.quantile(np.abs(zero_filled), 0.99)) or np.float32(1)
    if sets and reg != "l2":
        raise UsageError(f"--reg {reg} takes one set of maps, these are {maps.shape[0]}", hint="use --reg l2")
    if not zero_filled.any():
        return zero_filled

    def l2(weight: float, n: int) -> np.ndarray:
        return operator.solve(zero_filled / scale, np.float32(weight), n_iters=n)

    weight = LAMBDAS[reg] if lamda is None else lamda
    if reg == "l2":
        image = l2(weight, n_iters or 30)
    elif reg == "wavelet":
        with _sigpy_in_order():
            image = l1_wavelet(kspace / scale, maps, mask, weight, n_iters or 100, chunk)
    else:
        from sigpy.mri.app import TotalVariationRecon

        sampled = np.broadcast_to(mask, (1, *kspace.shape[1:])).astype(np.float32)
        how = {"weights": sampled, "max_iter": n_iters or 40, "x": l2(0.01, 10), "show_pbar": False, **ADMM}
        with _sigpy_in_order():
            image = TotalVariationRecon(kspace / scale, maps, weight, coil_batch_size=chunk, **how).run()
    return (image * scale * maps.any(axis=-3)).astype(np.complex64)


@contextmanager
def _sigpy_in_order() -> Iterator[None]:
    """Without chance, and without leaving anything behind."""
    # SigPy's power iteration for the step length starts from NumPy's global random state.
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)
        gc.collect()  # SigPy's operators refer to each other in circles: slice after slice would stay
