"""The methods that can be compared. Each makes an image of the same k-space, mask and maps."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from mrikit.errors import UsageError


@dataclass(frozen=True)
class Options:
    """What a method may need besides its data. model: weights.

    samples: of langevin. iters: of convdecoder. adapt: steps in which flat-adapt fits its network.
    """

    seed: int = 0
    samples: int = 4
    iters: int = 1000
    device: str = "cpu"
    model: str | None = None
    lamda: float | None = None
    adapt: int = 30


@dataclass(frozen=True)
class Output:
    """image: `(y, x)` complex64, in the scan's scale. std: `(y, x)`, voxel-wise. states: `(state, y, x)`."""

    image: np.ndarray
    std: np.ndarray | None = None
    states: np.ndarray | None = None


#: k-space `(coil, y, x)`, zero where the mask, `(x,)` or `(y, x)`, is False; maps of one set, `(coil, y, x)`; options
Solve = Callable[[np.ndarray, np.ndarray, np.ndarray, Options], Output]


def zero_filled(kspace: np.ndarray, mask: np.ndarray, maps: np.ndarray, options: Options) -> Output:
    """A^H y."""
    from mrikit.physics.sense import Sense

    return Output(Sense(maps, mask).adjoint(kspace))


def classical(kspace: np.ndarray, mask: np.ndarray, maps: np.ndarray, options: Options, *, reg: str) -> Output:
    """`mrikit pics`, with its own lambda where none was searched for."""
    from mrikit.classical.pics import pics

    return Output(pics(kspace, maps, reg=reg, lamda=options.lamda))


def unrolled(
    kspace: np.ndarray, mask: np.ndarray, maps: np.ndarray, options: Options, *, fitted: bool = False
) -> Output:
    """`mrikit flat-recon`, `fitted` with --adapt, with the state after every cascade."""
    from mrikit.physics.retrospective import Sampling
    from mrikit.unrolled.reconstruct import DEFAULT_MODEL, reconstruct

    result = reconstruct(
        kspace, mask, maps, how=Sampling(seed=options.seed), model=options.model or DEFAULT_MODEL,
        device=options.device, adapt=options.adapt if fitted else 0, trajectory=True,
    )  # fmt: skip
    return Output(result.image, states=result.trajectory.states)


def sampled(kspace: np.ndarray, mask: np.ndarray, maps: np.ndarray, options: Options) -> Output:
    """`mrikit langevin`: the mean of samples and their spread."""
    from mrikit.physics.scan import prepare
    from mrikit.score.reconstruct import DEFAULT_MODEL, Plan, load_prior, reconstruct

    prior = load_prior(options.model or DEFAULT_MODEL, options.device)
    plan = Plan(prior, n_samples=options.samples, seed=options.seed, device=options.device)
    moments = reconstruct(prepare(kspace, mask, maps, method="langevin"), plan).moments
    return Output(moments.mean.astype(np.complex64), moments.std.astype(np.float32))


def untrained(kspace: np.ndarray, mask: np.ndarray, maps: np.ndarray, options: Options) -> Output:
    """`mrikit convdecoder`."""
    from mrikit.classical.convdecoder import fit

    return Output(fit(kspace, maps, n_iters=options.iters, seed=options.seed, device=options.device).image)


def load_network(options: Options) -> None:
    """Read the weights of `unrolled`."""
    from mrikit.unrolled.reconstruct import DEFAULT_MODEL, load_model

    load_model(options.model or DEFAULT_MODEL, options.device)


def load_prior(options: Options) -> None:
    """Read the weights of `sampled`."""
    from mrikit.score.reconstruct import DEFAULT_MODEL, load_prior

    load_prior(options.model or DEFAULT_MODEL, options.device)


def load_package(name: str, options: Options) -> None:
    """Import a slow package."""
    import_module(name)


@dataclass(frozen=True)
class Family:
    """solve: what makes the image. warm_up: what takes time the first time, and is no part of the method.

    model: its default weights. lamdas: those that --tune tries. takes: which of `Options` its image depends on.
    suffix: of its label where the weights are given.
    """

    solve: Solve
    warm_up: Callable[[Options], None] = lambda options: None
    model: str | None = None
    lamdas: tuple[float, ...] = ()
    takes: tuple[str, ...] = ()
    suffix: str = ""


L1_LAMDAS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
L2_LAMDAS = (0.0001, 0.001, 0.01, 0.1)

FAMILIES: dict[str, Family] = {
    "zf": Family(zero_filled),
    "l2": Family(partial(classical, reg="l2"), lamdas=L2_LAMDAS),
    "wavelet": Family(partial(classical, reg="wavelet"), partial(load_package, "sigpy.mri.app"), lamdas=L1_LAMDAS),
    "tv": Family(partial(classical, reg="tv"), partial(load_package, "sigpy.mri.app"), lamdas=L1_LAMDAS),
    "modl": Family(unrolled, load_network, model="modl"),
    "varnet": Family(unrolled, load_network, model="varnet-small"),
    "flat": Family(unrolled, load_network, model="flat-small"),
    "flat-adapt": Family(
        partial(unrolled, fitted=True), load_network, model="flat-small", takes=("adapt",), suffix="-adapt"
    ),
    "langevin": Family(sampled, load_prior, model="score-small", takes=("samples",)),
    "convdecoder": Family(untrained, partial(load_package, "torch"), takes=("iters",)),
}


@dataclass(frozen=True)
class Method:
    """One column of a comparison. label: its name there. model: weights, by name or file. lamda: if it is given."""

    label: str
    family: str
    model: str | None = None
    lamda: float | None = None

    @property
    def how(self) -> Family:
        return FAMILIES[self.family]

    def terms(self, options: Options) -> dict[str, Any]:
        """What its images depend on, but for the scan."""
        from mrikit import weights

        known: dict[str, Any] = {"family": self.family, **{name: getattr(options, name) for name in self.how.takes}}
        if self.model is not None:
            _, card = weights.load(self.model)  # weights that are damaged are found out now, not cell by cell
            known |= {"model": Path(self.model).name, "sha256": card["sha256"]}
        return known


def parse(names: Sequence[str]) -> list[Method]:
    """The methods of `zf`, `flat`, or, with other weights, `flat=own.safetensors`, whose label is `own`.

    That of `flat-adapt=own.safetensors` is `own-adapt`.

    Raises UsageError for a name that is none, with the nearest, for weights where there are none, and for a label that
    comes twice.
    """
    methods: list[Method] = []
    for text in names:
        family, given, model = text.partition("=")
        if family not in FAMILIES:
            near = difflib.get_close_matches(family, FAMILIES, n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else None
            raise UsageError(
                f"--methods: there is no method {family!r}: the methods are {', '.join(FAMILIES)}",
                hint=f"flat={model}, say, is FLAT with these weights" if given else hint,
            )
        default = FAMILIES[family].model
        if given and (default is None or not model):
            raise UsageError(f"--methods {text}: {family} has no weights" if model else f"--methods {text}: no weights")
        label = Path(model).stem + FAMILIES[family].suffix if given else family
        methods.append(Method(label, family, model or default))
    labels = [method.label for method in methods]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise UsageError(f"--methods: {', '.join(sorted(twice))} comes twice", hint="give weights files other names")
    return methods
