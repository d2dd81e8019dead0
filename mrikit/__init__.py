"""mrikit: tools for accelerated MRI reconstruction, on the command line and in Python.

`mrikit.espirit(kspace, calib=24)` is what `mrikit espirit --calib 24` computes: arrays in, arrays out. What only moves
files (info, convert, view) has no function; `open_reader` and `open_writer` read and write them slice by slice. What
trains takes a `Job`, which says where weights go, and a `Recipe`, as in `unroll_train([folder], Job(weights),
recipe=Recipe(1000))`; `policy_train` takes what `subject` makes of files, `policy_compare` a `Contest`.
Importing mrikit loads nothing, not even NumPy; a function is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mrikit._version import __version__

#: name -> where it lives. One line for every function of the Python API, and for the classes that functions take.
_API = {
    "Contest": "mrikit.policy.contest:Contest",
    "Header": "mrikit.io:Header",
    "Job": "mrikit.train.run:Job",
    "Recipe": "mrikit.train.loop:Recipe",
    "compress": "mrikit.physics.coils:compress",
    "convdecoder": "mrikit.classical.convdecoder:convdecoder",
    "espirit": "mrikit.physics.espirit:espirit",
    "flat_recon": "mrikit.unrolled.reconstruct:flat_recon",
    "langevin": "mrikit.score.reconstruct:langevin",
    "load_policy": "mrikit.policy.architectures:load_policy",
    "mask": "mrikit.physics.masks:mask",
    "metrics": "mrikit.evaluate.metrics:metrics",
    "mvue": "mrikit.physics.coils:mvue",
    "open_reader": "mrikit.io:open_reader",
    "open_writer": "mrikit.io:open_writer",
    "phantom": "mrikit.physics.phantom:phantom",
    "pics": "mrikit.classical.pics:pics",
    "policy_compare": "mrikit.policy.contest:policy_compare",
    "policy_train": "mrikit.policy.training:policy_train",
    "propose": "mrikit.policy.propose:propose",
    "rss": "mrikit.physics.coils:rss",
    "unroll_train": "mrikit.unrolled.training:unroll_train",
    "score_train": "mrikit.score.training:score_train",
    "subject": "mrikit.policy.subject:subject",
    "undersample": "mrikit.physics.sampling:undersample",
    "whiten": "mrikit.physics.coils:whiten",
}

__all__ = ["__version__", *_API]


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module 'mrikit' has no attribute {name!r}")
    module, _, function = _API[name].partition(":")
    value = getattr(import_module(module), function)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
