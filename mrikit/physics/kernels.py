"""CUDA kernels of the hot steps, for CuPy arrays: one pass over memory where array functions take several.

Each has a twin, the plain code where it is called, which every other array takes. The sources include nothing and call
nothing of CUDA's but square roots, so that a test compiles these very strings for a CPU and compares them with their
twins. No GPU has run them yet.
"""

from __future__ import annotations

import math

from mrikit.arrays import Array, cuda_kernel, is_cupy, namespace

THREADS = 128  # of a block

_PRODUCT = r"""
__device__ void add_product(float2 &sum, float2 a, float2 b) {
    sum.x += a.x * b.x - a.y * b.y;
    sum.y += a.x * b.y + a.y * b.x;
}
"""

#: Maps are (item, set, coil, voxel), one item of them serving all where there is only one.
SENSE = (
    _PRODUCT
    + r"""
extern "C" __global__ void project(
    const float2 *maps, const float2 *image, float2 *coil_images,
    long long n_maps, long long n_sets, long long n_coils, long long n_voxels, long long n
) {
    long long i = (long long)blockDim.x * blockIdx.x + threadIdx.x;
    if (i >= n) return;
    long long voxel = i % n_voxels, coil = i / n_voxels % n_coils, item = i / n_voxels / n_coils;
    float2 sum = {0, 0};
    for (long long set = 0; set < n_sets; set++)
        add_product(
            sum, maps[((item % n_maps * n_sets + set) * n_coils + coil) * n_voxels + voxel],
            image[(item * n_sets + set) * n_voxels + voxel]
        );
    coil_images[i] = sum;
}

extern "C" __global__ void combine(
    const float2 *maps, const float2 *coil_images, float2 *image,
    long long n_maps, long long n_sets, long long n_coils, long long n_voxels, long long n
) {
    long long i = (long long)blockDim.x * blockIdx.x + threadIdx.x;
    if (i >= n) return;
    long long voxel = i % n_voxels, set = i / n_voxels % n_sets, item = i / n_voxels / n_sets;
    float2 sum = {0, 0};
    for (long long coil = 0; coil < n_coils; coil++) {
        float2 map = maps[((item % n_maps * n_sets + set) * n_coils + coil) * n_voxels + voxel];
        map.y = -map.y;
        add_product(sum, map, coil_images[(item * n_coils + coil) * n_voxels + voxel]);
    }
    image[i] = sum;
}
"""
)

#: COILS is defined when it is compiled, so that a thread's vectors stay in its registers where they fit.
POWER_ITERATION = (
    _PRODUCT
    + r"""
extern "C" __global__ void power_iteration(
    const float2 *gram, const float2 *start, float2 *vectors, float *norms, long long n_iters, long long n
) {
    long long i = (long long)blockDim.x * blockIdx.x + threadIdx.x;
    if (i >= n) return;
    float2 vector[COILS], next[COILS];
    float norm = 1;
    for (int c = 0; c < COILS; c++) vector[c] = start[i * COILS + c];
    for (long long iter = 0; iter < n_iters; iter++) {
        float energy = 0;
        for (int c = 0; c < COILS; c++) {
            next[c].x = next[c].y = 0;
            for (int d = 0; d < COILS; d++) add_product(next[c], gram[(i * COILS + c) * COILS + d], vector[d]);
            energy += next[c].x * next[c].x + next[c].y * next[c].y;
        }
        norm = sqrtf(energy) + 1.17549435e-38f;
        for (int c = 0; c < COILS; c++) {
            vector[c].x = next[c].x / norm;
            vector[c].y = next[c].y / norm;
        }
    }
    for (int c = 0; c < COILS; c++) vectors[i * COILS + c] = vector[c];
    norms[i] = norm;
}
"""
)


def take(*arrays: Array) -> bool:
    """Whether the kernels are for these: CuPy arrays of complex64."""
    return all(is_cupy(array) and array.dtype == namespace(array).complex64 for array in arrays)


def project(maps: Array, image: Array, *, sets: bool) -> Array:
    """Coil images `(..., coil, y, x)` of `image` `(..., [set,] y, x)` behind maps `([...,] [set,] coil, y, x)`."""
    if not sets:
        maps, image = maps[..., None, :, :, :], image[..., None, :, :]
    out = namespace(maps).empty((*image.shape[:-3], *maps.shape[-3:]), dtype=maps.dtype, device=maps.device)
    _run_sense("project", maps, image, out)
    return out


def combine(maps: Array, coil_images: Array, *, sets: bool) -> Array:
    """The adjoint of `project`."""
    if not sets:
        maps = maps[..., None, :, :, :]
    shape = (*coil_images.shape[:-3], maps.shape[-4], *maps.shape[-2:])
    out = namespace(maps).empty(shape, dtype=maps.dtype, device=maps.device)
    _run_sense("combine", maps, coil_images, out)
    return out if sets else out[..., 0, :, :]


def _run_sense(name: str, maps: Array, source: Array, out: Array) -> None:
    n_sets, n_coils, n_y, n_x = maps.shape[-4:]
    sizes = (math.prod(maps.shape[:-4]), n_sets, n_coils, n_y * n_x)
    _run(cuda_kernel(SENSE, name), [maps, source, out], *sizes, n=math.prod(out.shape))


def power_iteration(gram: Array, vectors: Array, n_iters: int) -> tuple[Array, Array]:
    """What `espirit.power_iteration` returns, every voxel of `gram` `(..., coil, coil)` in a thread of its own."""
    xp = namespace(gram)
    start = xp.broadcast_to(vectors, (*gram.shape[:-1], 1))
    out = xp.empty(start.shape, dtype=gram.dtype, device=gram.device)
    norms = xp.empty((*gram.shape[:-2], 1, 1), dtype=xp.float32, device=gram.device)
    kernel = cuda_kernel(POWER_ITERATION, "power_iteration", (f"-DCOILS={gram.shape[-1]}",))
    _run(kernel, [gram, start, out, norms], n_iters, n=math.prod(gram.shape[:-2]))
    return out, norms


def _run(kernel: Array, arrays: list[Array], *sizes: int, n: int) -> None:
    """`kernel` on n threads. Its outputs, last among `arrays`, are contiguous as they are."""
    contiguous = [namespace(array).ascontiguousarray(array) for array in arrays]
    kernel((-(-n // THREADS),), (THREADS,), (*contiguous, *sizes, n))
