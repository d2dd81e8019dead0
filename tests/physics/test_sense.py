"""Every SENSE operator is linear, has the adjoint it claims, and solves what it says."""

import array_api_strict
import numpy as np
import pytest
import torch

from mrikit.arrays import to_numpy
from mrikit.errors import DataError
from mrikit.physics.cg import cg
from mrikit.physics.fourier import fft2c, ifft2c
from mrikit.physics.sense import Sense

CASES = {
    "lines": ((4, 6, 8), (8,), False, (-2, -1)),
    "plane": ((4, 6, 8), (6, 8), False, (-2, -1)),
    "odd sizes": ((3, 7, 9), (9,), False, (-2, -1)),
    "one coil": ((1, 6, 8), (6, 8), False, (-2, -1)),
    "two sets": ((2, 4, 6, 8), (8,), True, (-2, -1)),
    "a batch": ((5, 4, 6, 8), (8,), False, (-2, -1)),
    "rows decoupled": ((3, 7, 9), (9,), False, (-1,)),
    "a batch of masks": ((5, 4, 6, 8), (5, 1, 1, 8), False, (-2, -1)),
}


@pytest.fixture(params=CASES, ids=list(CASES))
def case(request, random):
    shape, mask_shape, sets, axes = CASES[request.param]
    maps, mask = random.complex(*shape), random.mask(*mask_shape)
    image_shape = (*shape[:-3], *shape[-2:])
    kspace_shape = (*shape[:-4], *shape[-3:]) if sets else shape
    return Sense(maps, mask, sets=sets, axes=axes), image_shape, kspace_shape


def dot(a, b):
    return np.vdot(to_numpy(a), to_numpy(b))


def test_linear(case, random):
    operator, image_shape, kspace_shape = case
    a, b = random.complex(*image_shape), random.complex(*image_shape)
    together = operator.forward(2 * a + 1j * b)
    assert together.shape == kspace_shape
    assert np.allclose(together, 2 * operator.forward(a) + 1j * operator.forward(b), atol=1e-5)


def test_adjoint(case, random):
    operator, image_shape, kspace_shape = case
    image, kspace = random.complex(*image_shape), random.complex(*kspace_shape)
    assert operator.adjoint(kspace).shape == image_shape
    left, right = dot(operator.forward(image), kspace), dot(image, operator.adjoint(kspace))
    assert abs(left - right) < 1e-5 * abs(left)


def test_normal(case, random):
    operator, image_shape, _ = case
    image = random.complex(*image_shape)
    assert np.allclose(operator.normal(image), operator.adjoint(operator.forward(image)), atol=1e-4)


@pytest.mark.parametrize("by_pixel", [False, True])
def test_solve_is_the_regularised_solution(case, random, by_pixel):
    operator, image_shape, _ = case
    truth, prior = random.complex(*image_shape), random.complex(*image_shape)
    lamda = 0.5 + np.abs(random.complex(*image_shape)) if by_pixel else 0.5
    rhs = operator.normal(truth) + lamda * truth
    found = operator.solve(rhs, lamda, prior, n_iters=200)
    assert np.abs(found - truth).max() < 2e-3


@pytest.mark.parametrize("name", CASES)
def test_coils_in_groups_give_the_same_but_for_rounding(random, name):
    shape, mask_shape, sets, axes = CASES[name]
    maps, mask = random.complex(*shape), random.mask(*mask_shape)
    image = random.complex(*shape[:-3], *shape[-2:])
    whole = Sense(maps, mask, sets=sets, axes=axes)
    kspace = whole.forward(image)
    for chunk in (1, 3, 99):
        grouped = Sense(maps, mask, sets=sets, axes=axes, chunk=chunk)
        for found, expected in (
            (grouped.normal(image), whole.normal(image)),
            (grouped.adjoint(kspace), whole.adjoint(kspace)),
        ):
            assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


def test_coils_in_groups_take_less_memory(random, allocated):
    maps, mask, image = random.complex(16, 64, 64), random.mask(64), random.complex(64, 64)
    few, all_ = (Sense(maps, mask, chunk=n) for n in (1, None))
    assert allocated(lambda: few.normal(image)) < 0.2 * allocated(lambda: all_.normal(image))
    assert allocated(lambda: few.adjoint(maps)) < 0.2 * allocated(lambda: all_.adjoint(maps))


@pytest.mark.parametrize("xp", [torch, array_api_strict])
def test_other_namespaces_agree(xp, random):
    maps, mask, image = random.complex(4, 6, 8), random.mask(8), random.complex(6, 8)
    expected = Sense(maps, mask).normal(image)
    operator = Sense(xp.asarray(maps), xp.asarray(mask))
    assert np.allclose(to_numpy(operator.normal(xp.asarray(image))), expected, atol=1e-5)
    solved = operator.solve(xp.asarray(image), 0.1, n_iters=5)
    assert np.allclose(to_numpy(solved), Sense(maps, mask).solve(image, 0.1, n_iters=5), atol=1e-4)


def test_gradient_is_the_adjoint(random):
    maps, mask = torch.from_numpy(random.complex(4, 6, 8)), torch.from_numpy(random.mask(8))
    operator = Sense(maps, mask)
    image = torch.from_numpy(random.complex(6, 8)).requires_grad_()
    (0.5 * operator.forward(image).abs() ** 2).sum().backward()
    assert torch.allclose(image.grad, operator.normal(image.detach()), atol=1e-4)


def test_rows_decoupled_is_the_same_problem(random):
    maps, mask, kspace = random.complex(4, 6, 8), random.mask(8), random.complex(4, 6, 8)
    whole, rows = Sense(maps, mask), Sense(maps, mask, axes=(-1,))
    assert np.allclose(whole.adjoint(kspace), rows.adjoint(ifft2c(kspace, axes=(-2,))), atol=1e-5)


def test_with_maps_of_unit_norm_and_all_samples_it_is_unitary(random):
    maps = random.complex(4, 6, 8)
    maps /= np.sqrt((np.abs(maps) ** 2).sum(axis=0))
    image = random.complex(6, 8)
    assert np.allclose(Sense(maps, np.ones(8, bool)).normal(image), image, atol=1e-5)


def test_what_is_unseen_leaves_less_in_the_data(case, random):
    operator, image_shape, _ = case
    image = random.complex(*image_shape)
    before, after = (np.linalg.norm(operator.forward(x)) for x in (image, operator.unseen(image)))
    assert after < 0.9 * before


def test_all_that_maps_of_unit_norm_do_not_sample_is_unseen(random):
    maps, mask, image = random.complex(4, 7, 9), random.mask(7, 9), random.complex(7, 9)
    maps /= np.linalg.norm(maps, axis=0)
    np.testing.assert_allclose(Sense(maps, np.ones_like(mask)).unseen(image), 0, atol=1e-6)
    one = np.ones((1, 7, 9), np.complex64)
    np.testing.assert_allclose(fft2c(Sense(one, mask).unseen(image)), ~mask * fft2c(image), atol=1e-6)


def test_a_mask_of_another_width_is_refused(random):
    with pytest.raises(DataError, match="mask is 9"):
        Sense(random.complex(4, 6, 8), np.ones(9, bool))


def test_cg_items_do_not_see_each_other(random):
    scales = np.array([1.0, 1e3, 1e-3], np.float32)[:, None, None]
    b = random.complex(3, 4, 5)
    weights = np.abs(random.complex(3, 4, 5)) + 0.1
    together = cg(lambda x: scales * weights * x, b, n_iters=7)
    for i in range(3):
        alone = cg(lambda x, i=i: scales[i] * weights[i] * x, b[i], n_iters=7)
        assert np.array_equal(together[i], alone)


def test_cg_takes_as_many_iterations_as_it_is_asked_for(random):
    """An iteration for each eigenvalue ends at the solution; one fewer does not."""
    b, eigenvalues = random.complex(12, 10), np.resize([1.0, 2.0, 5.0], (12, 10)).astype(np.float32)
    errors = [float(np.abs(cg(lambda x: eigenvalues * x, b, n_iters=n) - b / eigenvalues).max()) for n in (2, 3)]
    assert errors[0] > 1e-2 and errors[1] < 1e-5


def test_cg_stays_where_it_is_done(random):
    b = random.complex(4, 4)
    assert np.array_equal(cg(lambda x: 2 * x, b, n_iters=50), cg(lambda x: 2 * x, b, n_iters=2))
    assert np.array_equal(cg(lambda x: x, np.zeros_like(b)), np.zeros_like(b))


def test_forward_is_mask_times_fft_of_maps_times_image(random):
    maps, mask, image = random.complex(3, 6, 8), random.mask(6, 8), random.complex(6, 8)
    assert np.allclose(Sense(maps, mask).forward(image), mask * fft2c(maps * image), atol=1e-5)


def test_the_normal_operator_stays_below_its_bound(case, random):
    """By power iteration over the whole batch at once, which finds the largest of its norms."""
    operator, image_shape, _ = case
    image = random.complex(*image_shape)
    for _ in range(20):
        image = operator.normal(image / np.linalg.norm(image))
    assert 0 < np.linalg.norm(image) <= np.max(operator.bound())
