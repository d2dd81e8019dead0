"""A sampling run on disk: for every slice the samples so far, in one safetensors file that is replaced whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mrikit.errors import CannotCreateError, DataError, UsageError
from mrikit.io.atomic import write_whole
from mrikit.score.moments import Moments

STATES = "slice-*.safetensors"


class Checkpoint:
    """The states of one run in `folder`, a file a slice; None keeps nothing, for there is no name to resume by."""

    def __init__(self, folder: Path | None, terms: Mapping[str, Any], *, resume: bool, force: bool) -> None:
        """terms: what samples depend on, and must be the same where a run is resumed.

        Raises CannotCreateError where there is a run already that is neither resumed nor may be written over.
        """
        self.folder, self.terms = folder, dict(terms)
        if folder is None or resume:
            return
        if folder.exists() and not force:
            raise CannotCreateError(
                f"{folder}: exists already", hint="--resume goes on with that run, --force begins anew"
            )
        self.remove()

    def restore(self, number: int, fingerprint: int) -> tuple[Moments, list[np.ndarray]] | None:
        """What is known of slice `number`, and the samples where they were kept; None where nothing is.

        Raises UsageError where that run was on other terms or data, DataError where the file is none of these.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file, safe_open

        path = self._path(number)
        if path is None or not path.exists():
            return None
        try:
            tensors = load_file(path)
            with safe_open(path, "pt") as file:
                about = json.loads(file.metadata()["about"])
            mean, squares = (tensors[name].numpy() for name in ("mean", "squares"))
            moments = Moments(about["n"], mean.view(np.complex128)[..., 0], squares)
            kept = [tensors["samples"].numpy().view(np.complex64)[..., 0]] if "samples" in tensors else []
            saved = about["terms"]
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise DataError(f"{path}: not a state of mrikit langevin's", hint="--force begins anew") from error
        asked = json.loads(json.dumps({**self.terms, "data": fingerprint}))
        changed = [name for name in {**saved, **asked} if saved.get(name) != asked.get(name)]
        if changed:
            was = ", ".join(f"{name} {saved.get(name)}" for name in changed)
            raise UsageError(f"{path}: that run had {was}", hint="resume with the same; --force begins anew")
        return moments, kept

    def store(self, number: int, fingerprint: int, moments: Moments, kept: list[np.ndarray]) -> None:
        """Write what is known of slice `number`; an older state stays until this one is whole."""
        from safetensors.torch import save

        path = self._path(number)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"mean": moments.mean[..., None].view(np.float64), "squares": moments.squares}
        if kept:
            arrays["samples"] = np.concatenate(kept)[..., None].view(np.float32)
        about = {"n": moments.n, "terms": {**self.terms, "data": fingerprint}}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        write_whole(path, save(tensors, {"about": json.dumps(about)}))

    def remove(self) -> None:
        """Take the run away, and nothing else: its results are in their place, or it begins anew."""
        if self.folder is None or not self.folder.is_dir():
            return
        for state in self.folder.glob(STATES):
            state.unlink()
        with suppress(OSError):  # there is something else in it
            self.folder.rmdir()

    def _path(self, number: int) -> Path | None:
        return None if self.folder is None else self.folder / f"slice-{number:04d}.safetensors"
