"""Tables of noise levels. A level is the std of the noise on the real and on the imaginary part of a voxel, each."""

from __future__ import annotations

import math

from mrikit.errors import DataError

#: NCSNv2's for 384 x 384 (arXiv 2006.09011, as arXiv 2108.01368 configured it): sigma_max, sigma_min, levels
NCSNV2 = (232.0, 0.0066, 2311)


def geometric(sigma_max: float, sigma_min: float, n: int) -> list[float]:
    """`n` levels from `sigma_max` down to `sigma_min`, each the same part of the one before.

    Raises DataError unless 0 < sigma_min < sigma_max and there are two levels or more.
    """
    if not (0 < sigma_min < sigma_max < math.inf and n > 1):
        raise DataError(f"{n} noise levels from {sigma_max:g} to {sigma_min:g}: expected two or more, the larger first")
    ratio = sigma_min / sigma_max
    return [sigma_max * ratio ** (i / (n - 1)) for i in range(n)]
