"""The centred, orthonormal Fourier transform: the only one in mrikit.

kspace = fftshift(fft(ifftshift(image))), with the centre of both at index N//2, for odd N too.
"""

from __future__ import annotations

from mrikit.arrays import Array, namespace

Axes = tuple[int, ...]


def fft2c(image: Array, axes: Axes = (-2, -1)) -> Array:
    """k-space of `image` along `axes`: same shape, unitary."""
    fft = namespace(image).fft
    return fft.fftshift(fft.fftn(fft.ifftshift(image, axes=axes), axes=axes, norm="ortho"), axes=axes)


def ifft2c(kspace: Array, axes: Axes = (-2, -1)) -> Array:
    """Image of `kspace` along `axes`: the inverse, and the adjoint, of `fft2c`."""
    fft = namespace(kspace).fft
    return fft.fftshift(fft.ifftn(fft.ifftshift(kspace, axes=axes), axes=axes, norm="ortho"), axes=axes)


def mirrored(array: Array, axes: Axes) -> Array:
    """`array` mirrored about its centre along `axes`; the k-space of a mirrored image is the mirrored k-space."""
    xp = namespace(array)
    # Of an even length the first sample has no partner on the other side.
    return xp.roll(xp.flip(array, axis=axes), tuple(1 - array.shape[a] % 2 for a in axes), axis=axes) if axes else array


def to_fft_order(array: Array, axes: Axes) -> Array:
    """`array` with the centre moved to index 0, where FFTs need no shifts."""
    return namespace(array).fft.ifftshift(array, axes=axes)


def from_fft_order(array: Array, axes: Axes) -> Array:
    """The inverse of `to_fft_order`."""
    return namespace(array).fft.fftshift(array, axes=axes)
