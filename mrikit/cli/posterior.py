"""What `langevin` says of its samples: the lines, the facts and the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mrikit.axes import require_complex, require_match
from mrikit.cli.console import span
from mrikit.cli.files import PIPE, check_folder, on_disk
from mrikit.cli.run import Run

if TYPE_CHECKING:
    from mrikit.physics.scan import Slice
    from mrikit.score.moments import Moments
    from mrikit.score.reconstruct import Plan


def run_folder(out: str) -> Path | None:
    """`mean.nii.gz.run` beside `mean.nii.gz`, where a run is kept until its output is there; None for a pipe."""
    if out == PIPE:
        return None
    file = on_disk(out)
    return file.with_name(file.name + ".run")


class Report:
    """Collects what is known of every slice. opened: the reader of the reference, None without one."""

    def __init__(self, run: Run, plan: Plan, folder: str | None, reference: str | None, model: str) -> None:
        self.run, self.plan, self.model = run, plan, model
        self.folder = None if folder is None else check_folder(folder, force=run.settings.force)
        self.opened = run.open_if(reference, "image")
        if self.opened is not None:
            require_complex(self.opened.header.dtype, self.opened.name, "a reference")
        self.accels: list[float] = []
        self.sigmas: list[float] = []
        self.calibrated = True
        self.means: list[np.ndarray] = []
        self.stds: list[np.ndarray] = []
        self.truths: list[np.ndarray] = []

    @property
    def n_slices(self) -> int:
        """How many are done."""
        return len(self.accels)

    def terms(self, *, keeps: bool) -> dict[str, Any]:
        """What a resumed run must agree in."""
        from mrikit import weights

        plan = self.plan
        return {
            "model": weights.card(self.model)["sha256"],
            "sampler": plan.sampler, "samples": plan.n_samples, "levels": len(plan.levels),
            "sigma_y": plan.sigma_y, "seed": plan.seed, "kept samples": keeps,
        }  # fmt: skip

    def require_fit(self, truth: np.ndarray | None, shape: tuple[int, int]) -> None:
        """Raise DataError where the reference is not of this matrix: now, not after an hour."""
        if truth is not None and self.opened is not None:
            require_match(self.opened.name, truth.shape, "k-space", shape, "the matrix")

    def add(self, piece: Slice, moments: Moments, truth: np.ndarray | None) -> None:
        """Take in a finished slice."""
        self.accels.append(piece.accel)
        self.sigmas.append(self.plan.noise(piece.scan))
        self.calibrated &= self.plan.calibrated(piece.scan)
        if self.folder is not None or truth is not None:
            self.means.append(moments.mean.astype(np.complex64))
            self.stds.append(moments.std.astype(np.float32))
        if truth is not None:
            self.truths.append(truth)

    def finish(self, accel: float | None) -> None:
        """Say what was done, and write the report where one is wanted."""
        plan, run = self.plan, self.run
        calls = plan.calls * plan.n_samples
        facts: dict[str, Any] = {
            "requested_accel": accel, "achieved_accel": min(self.accels), "model": Path(self.model).name,
            "sampler": plan.sampler, "calibrated": self.calibrated, "samples": plan.n_samples,
            "levels": len(plan.levels), "network_calls_per_sample": plan.calls, "sigma_y": self.sigmas,
        }  # fmt: skip
        calibration = self._calibrate()
        if calibration is not None:
            facts["calibration"] = calibration.to_json()
        if self.folder is not None:
            from mrikit.evaluate.report import posterior

            truth = np.stack(self.truths) if self.truths else None
            posterior(self.folder, np.stack(self.means), np.stack(self.stds), truth, facts)
        uncalibrated = "" if self.calibrated else ", uncalibrated"
        run.note(
            f"R = {span(self.accels)}, {plan.sampler}{uncalibrated}, {plan.n_samples} samples of {plan.calls} "
            f"network calls ({calls} a slice), model {facts['model']}, {run.device}, {run.seconds:.1f} s",
            **facts,
        )
        if calibration is not None:
            within = ", ".join(f"{calibration.coverage[k]:.3f} ({calibration.expected[k]:.3f})" for k in (1, 2, 3))
            run.say(
                f"the truth is within 1, 2, 3 std in {within} of voxels (expected), "
                f"correlation of std and error {calibration.pearson:.2f}"
            )

    def _calibrate(self) -> Any:
        from mrikit.score.calibration import calibrate

        if not self.truths:
            return None
        return calibrate(np.stack(self.truths), np.stack(self.means), np.stack(self.stds), self.plan.n_samples)
