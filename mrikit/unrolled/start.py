"""Where the flow starts: wavelet-regularised least squares, in a frame where the image is almost real.

The phase of an image is smooth where nothing disturbs it. Turned back by the phase of its own blurred self, an image
has its detail in the real part, so the imaginary part can be shrunk harder, as homodyne detection does without it:
Noll 1991, doi:10.1109/42.79473. How much harder, the least-squares image tells: in heads a hundredth of its energy is
out of phase, in hearts a tenth.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mrikit.nets.wavelet import shrink
from mrikit.physics.sense import Sense

BLUR, REACH = 5.0, 15  # pixels: what a mask's central lines resolve, and where a blur of it ends
FIRST = 0.04  # threshold of the first iteration, in units of a bright voxel
SHARE, LIMITS = 0.15, (5e-4, 0.01)  # the last threshold, in units of the noise std, and its limits
OUT_OF_PHASE = 0.05  # share of the energy from which on both parts are shrunk alike, and more
HARDEST = 1.5  # most that the threshold of the imaginary part is, in units of that of the real one
TIGHTEN = 0.7  # share of the iterations over which the threshold falls
REFRESH = 8  # iterations between two looks at the phase


def local_phase(x: Tensor) -> Tensor:
    """exp(i phase) of `x` `(batch, y, x)` complex, blurred; no gradient flows."""
    return unit(blurred(x.detach()))


def blurred(x: Tensor) -> Tensor:
    """`x` `(batch, y, x)` complex, each pixel the sum over a Gaussian of `BLUR` pixels around it."""
    n_y, n_x = x.shape[-2:]
    # With zeros between its ends, up to sizes that have many small factors.
    padded = [math.ceil((n + REACH) / 16) * 16 for n in (n_y, n_x)]
    along_y, along_x = (_blur_spectrum(n, x) for n in padded)
    spectrum = torch.fft.fft2(x, s=padded) * along_y[:, None] * along_x
    return torch.fft.ifft2(spectrum)[..., :n_y, :n_x]


def _blur_spectrum(n: int, like: Tensor) -> Tensor:
    """What a Gaussian of `BLUR` pixels, cut off at `REACH`, multiplies the `n` frequencies by; real, as `like` is."""
    distance = torch.arange(n, device=like.device, dtype=like.real.dtype)
    distance = torch.minimum(distance, n - distance)
    return torch.fft.fft(torch.exp(-0.5 * (distance / BLUR) ** 2) * (distance <= REACH)).real


def unit(x: Tensor) -> Tensor:
    """x / |x|, and 0 for 0."""
    return x / torch.sqrt(x.real**2 + x.imag**2 + 1e-12)


def shrink_aligned(x: Tensor, threshold: Tensor, imaginary: Tensor | float, shift: int) -> Tensor:
    """Wavelet shrinkage of `x` `(batch, y, x)`: its real part by `threshold`, the other by `imaginary` times that."""
    threshold = threshold.expand(len(x), 1, 1)
    parts = shrink(torch.cat([x.real, x.imag]), torch.cat([threshold, threshold * imaginary]), shift=shift)
    return torch.complex(*parts.chunk(2))


def hardness(aligned: Tensor) -> tuple[Tensor, Tensor]:
    """What the thresholds of the real part are multiplied by, and the imaginary part's in units of these.

    Both `(batch, 1, 1)`, of `aligned` `(batch, y, x)`, an image turned by its phase. The rules were fitted to images of
    hearts, livers and heads: beside 1 and 1.5 for all, starts of the first two gain with lines, of heads nothing.
    """
    imaginary, real = (part.square().mean(dim=(-2, -1), keepdim=True) for part in (aligned.imag, aligned.real))
    share = imaginary / (imaginary + real).clamp_min(1e-12)
    harder = (OUT_OF_PHASE / share.clamp_min(1e-3)).pow(1 / 3).clamp(1, HARDEST)
    return (HARDEST / harder) ** 2, harder


def last_threshold(bound: Tensor, sigma: Tensor) -> Tensor:
    """Where the threshold ends, `(batch, 1, 1)`, for a `bound` of ||A^H A|| `(batch, 1, 1)` and noise `(batch,)`."""
    return (SHARE * sigma[:, None, None] * bound.sqrt()).clamp(*LIMITS)  # of the noise that is left in A^H y


def n_steps(bound: Tensor, sigma: Tensor, most: int) -> Tensor:
    """Steps that a start takes, `(batch, 1, 1)`: the lower the last threshold, the slower it is, by its square root.

    `most` is what the lowest takes; `bound` and `sigma` are those of `last_threshold`.
    """
    return (most * (LIMITS[0] / last_threshold(bound, sigma)).sqrt() - 1e-3).ceil()


def wavelet_start(operator: Sense, rhs: Tensor, x: Tensor, sigma: Tensor, n_iters: Tensor | int) -> Tensor:
    """`n_iters` steps from `x` towards argmin ||A x - y||^2 / 2 + threshold ||wavelets of x||_1, rhs being A^H y.

    POGM (Kim and Fessler 2018, doi:10.1007/s10957-018-1287-4), which needs some two thirds of FISTA's steps, with a
    threshold that falls, which saves half again, to a share of the noise std `sigma` `(batch,)`, and a grid that moves
    (cycle spinning). `rhs` is about 1 where bright. n_iters: for all images, or `(batch, 1, 1)`, for each its own.
    """
    bound = operator.bound().clamp_min(1e-12)
    last = last_threshold(bound, sigma)
    n = torch.as_tensor(n_iters, device=x.device).expand_as(last)
    before, ahead = x, x
    momentum, stretch = torch.ones_like(last), torch.ones_like(last)
    for k in range(int(n.max())):
        if k % REFRESH == 0:
            phase = local_phase(x)
            turn = phase.conj().resolve_conj()
        if k == 0:
            overall, imaginary = hardness(x * turn)
        following = (1 + (1 + torch.where(k == n - 1, 8, 4) * momentum**2).sqrt()) / 2
        gain, carry = (momentum - 1) / following, momentum / following
        back = gain / stretch
        stretch = (2 * momentum + following - 1) / following
        # descended + gain (descended - before) + carry (descended - x) + back (ahead - x)
        descended = operator.normal(x).sub_(rhs).mul_(-1 / bound).add_(x)
        mixed = (1 + gain + carry) * descended
        for image, weight in ((before, -gain), (x, -carry - back), (ahead, back)):
            mixed.addcmul_(image, weight.to(x.dtype))
        threshold = last / bound * (FIRST / last) ** (1 - k / (TIGHTEN * n)).clamp_min(0)
        before, ahead, momentum = descended, mixed, following
        shrunk = shrink_aligned(mixed * turn, stretch * overall * threshold, imaginary, shift=k) * phase
        x = shrunk if k < n.min() else torch.where(k < n, shrunk, x)
    return x
