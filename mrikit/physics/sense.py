"""The SENSE operator A = M F S: coil maps, Fourier transform, sampling mask. Pruessmann 1999.

    kspace_c = mask * F( sum_s maps_{s,c} image_s )

It is written once for NumPy, CuPy and torch arrays and carries gradients with torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, reduce
from operator import add

from mrikit.arrays import Array, namespace
from mrikit.axes import describe
from mrikit.errors import DataError
from mrikit.physics import kernels
from mrikit.physics.cg import cg
from mrikit.physics.coils import groups
from mrikit.physics.fourier import Axes, from_fft_order, to_fft_order


class Sense:
    """The operator of one scan, or of a batch of scans with leading axes.

    maps: `(..., coil, y, x)` complex; with `sets`, `(..., set, coil, y, x)`.
    mask: bool, broadcast against `(..., coil, y, x)`: `(x,)`, `(y, x)` or with more leading axes.
    axes: those the Fourier transform runs along. With `(-1,)` the data is k-space along x but image along
        y: with a mask of lines the rows then decouple, and every transform is half the work.
    chunk: coils that `adjoint` and `normal` work on at a time, all by default. Fewer take less memory; the result is
        the same but for the rounding of the sum over coils, 1e-6.

    Arrays are kept with their centre at index 0, so `normal_fft_order` needs no shifts at all.
    """

    def __init__(
        self, maps: Array, mask: Array, *, sets: bool = False, axes: Axes = (-2, -1), chunk: int | None = None
    ) -> None:
        xp = namespace(maps, mask)
        if mask.shape[-1] not in (1, maps.shape[-1]) or (mask.ndim > 1 and mask.shape[-2] not in (1, maps.shape[-2])):
            raise DataError(
                f"mask is {describe(mask.shape)}, which does not fit maps of {describe(maps.shape[-2:])} (y x x)"
            )
        self.sets = sets
        self.axes = axes
        self.image_ndim = 3 if sets else 2
        mask = xp.astype(mask, xp.real(maps).dtype)
        self._mask = to_fft_order(mask, axes if mask.ndim > 1 else tuple(a for a in axes if a == -1))
        self._maps = to_fft_order(maps, axes)
        # torch has a conjugate in the books alone, and makes it anew for every product; this one is made here.
        self._maps_conj = xp.real(self._maps) - 1j * xp.imag(self._maps)
        self._groups = groups(maps.shape[-3], chunk or maps.shape[-3])

    def _project(self, image: Array, coils: slice) -> Array:
        """Images of these `coils` of `image`, both in FFT order."""
        maps = self._maps[..., coils, :, :]
        if self._fused(image, self.image_ndim):
            return kernels.project(maps, image, sets=self.sets)
        coil_images = maps * image[..., None, :, :]
        return namespace(image).sum(coil_images, axis=-4) if self.sets else coil_images

    def _combine(self, coil_images: Array, coils: slice) -> Array:
        """Adjoint of `_project`."""
        if self._fused(coil_images, 3):
            return kernels.combine(self._maps[..., coils, :, :], coil_images, sets=self.sets)
        if self.sets:
            coil_images = coil_images[..., None, :, :, :]
        images = self._maps_conj[..., coils, :, :] * coil_images
        return images[..., 0, :, :] if images.shape[-3] == 1 else namespace(images).sum(images, axis=-3)

    def _fused(self, array: Array, ndim: int) -> bool:
        """Whether there are kernels for the maps and `array`, whose items have `ndim` axes."""
        items = self._maps.shape[: -1 - self.image_ndim]
        return kernels.take(self._maps, array) and items in ((), array.shape[:-ndim])

    def _sum(self, term: Callable[[slice], Array]) -> Array:
        """The sum over the groups of coils of what `term` makes of each."""
        return reduce(add, map(term, self._groups))

    def forward(self, image: Array) -> Array:
        """k-space `(..., coil, y, x)` of `image` `(..., [set,] y, x)`; zero where not sampled."""
        fft = namespace(image).fft
        coil_images = self._project(to_fft_order(image, self.axes), slice(None))
        return from_fft_order(self._mask * fft.fftn(coil_images, axes=self.axes, norm="ortho"), self.axes)

    def adjoint(self, kspace: Array) -> Array:
        """A^H kspace: the zero-filled image, coils combined by the conjugate maps."""
        fft = namespace(kspace).fft

        def term(coils: slice) -> Array:
            sampled = self._mask * to_fft_order(kspace[..., coils, :, :], self.axes)
            return self._combine(fft.ifftn(sampled, axes=self.axes, norm="ortho"), coils)

        return from_fft_order(self._sum(term), self.axes)

    def normal(self, image: Array) -> Array:
        """A^H A image."""
        return from_fft_order(self.normal_fft_order(to_fft_order(image, self.axes)), self.axes)

    def normal_fft_order(self, image: Array) -> Array:
        """A^H A for an image whose centre is at index 0 along the transformed axes: no shifts."""
        fft, mask = namespace(image).fft, self._mask

        def masked(kspace: Array) -> Array:
            if mask.ndim > kspace.ndim or mask.shape[:-3] not in ((), kspace.shape[:-3]):
                return mask * kspace
            kspace *= mask  # in place: no gradient needs what was there
            return kspace

        def term(coils: slice) -> Array:
            kspace = masked(fft.fftn(self._project(image, coils), axes=self.axes, norm="ortho"))
            return self._combine(fft.ifftn(kspace, axes=self.axes, norm="ortho"), coils)

        return self._sum(term)

    @cached_property
    def energy(self) -> Array:
        """The sum of squared sensitivities, `(..., y, x)`, in FFT order."""
        xp = namespace(self._maps)
        return xp.sum(xp.abs(self._maps) ** 2, axis=(-4, -3) if self.sets else -3)

    def bound(self) -> Array:
        """An upper bound of ||A^H A||, shape `(..., 1, 1)`: the largest sum of squared sensitivities."""
        return namespace(self._maps).max(self.energy, axis=(-2, -1), keepdims=True)

    def unseen(self, image: Array) -> Array:
        """What of `image` has little effect on the data: less one step of descent on ||A image||^2, scaled by pixel."""
        energy = namespace(image).maximum(self.energy, 1e-2 * self.bound())
        if self.sets:
            energy = energy[..., None, :, :]
        seen = self.normal_fft_order(to_fft_order(image, self.axes)) / energy
        return image - from_fft_order(seen, self.axes)

    def solve(self, rhs: Array, lamda: Array | float, x0: Array | None = None, *, n_iters: int = 30) -> Array:
        """Image x with (A^H A + lamda) x = rhs, by conjugate gradients from `x0`.

        With rhs = A^H y + lamda z this is argmin_x ||A x - y||^2 + lamda ||x - z||^2. lamda: a number, or an array
        that has the axes of an image, for a number for each pixel or one for all.
        """
        weight = to_fft_order(lamda, self.axes) if getattr(lamda, "ndim", 0) else lamda
        x = cg(
            lambda image: self.normal_fft_order(image) + weight * image,
            to_fft_order(rhs, self.axes),
            None if x0 is None else to_fft_order(x0, self.axes),
            n_iters=n_iters,
            ndim=self.image_ndim,
        )
        return from_fft_order(x, self.axes)
