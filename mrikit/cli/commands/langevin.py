"""mrikit langevin: sample the posterior with a score prior."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from mrikit.cli import params, types
from mrikit.cli.runner import Run, command
from mrikit.errors import UsageError


@command(
    examples=[
        (
            "mrikit langevin --accel 4 --std std.nii scan.h5 mean.nii",
            "under-sample a full scan 4-fold; mean and spread",
        ),
        ("mrikit langevin --samples 32 --save-samples samples.npy acquired.h5 mean.npy", "every sample too"),
        ("mrikit langevin --resume --samples 32 acquired.h5 mean.npy", "go on where a run was cut off"),
        (
            "mrikit langevin --mask mask.npy --maps maps.npy --sigma-y 2e-5 scan.h5 mean.npy",
            "mask, maps, noise: your own",
        ),
        ("mrikit langevin --accel 4 --reference mvue.npy --report dir scan.h5 mean.npy", "coverage, as PNG and JSON"),
    ],
    uses=["device", "seed", "threads", "chunk"],
)
def langevin(
    run: Run,
    in_: params.Kspace,
    out: params.Output,
    accel: params.AccelOption = None,
    mask: params.MaskOption = None,
    maps: params.MapsOption = None,
    maps_out: params.MapsOutOption = None,
    model: params.Model = "score-small",
    sampler: Annotated[
        Literal["pula", "csgm", "annealed", "pc", "heun", "dds"],
        typer.Option(metavar="NAME", help="pula, annealed, heun; or pc, dds and csgm, whose spread is no posterior's."),
    ] = "pula",
    samples: Annotated[int, typer.Option(metavar="K", help="Samples of each slice.", min=1)] = 8,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Noise levels; 100 for pula and annealed, 500 for pc, 50 for heun and dds. Few make the spread wrong.",
            min=2,
            show_default=False,
        ),
    ] = None,
    sigma_y: Annotated[
        Any,
        typer.Option(
            metavar="X|auto", help="Noise std of a sample of k-space; auto measures it.", click_type=types.AutoNumber()
        ),
    ] = "auto",
    std: Annotated[str | None, params.output_option("--std", "Also write the voxel-wise standard deviation.")] = None,
    save_samples: Annotated[str | None, params.output_option("--save-samples", "Also write every sample.")] = None,
    report: Annotated[
        str | None, typer.Option(metavar="DIR", help="Also write pictures and report.json there.", show_default=False)
    ] = None,
    reference: Annotated[
        str | None, params.input_option("--reference", "The truth, complex, to tell error and coverage by.")
    ] = None,
    mask_kind: params.MaskKindOption = "random",
    acs: params.Acs = "auto",
    axis: params.LineAxis = "x",
    part: params.Part = "auto",
    every: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Save the run after every N samples, not after a batch.", min=1, show_default=False
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from OUT.run, exactly.")] = False,
) -> None:
    """Sample the posterior of a scan with a score prior: OUT is the mean.

    Samples are images that fit both the data and what the prior knows of images; where they differ the scan does not
    say what is there. --std is sqrt(mean |x_i - mean|^2), in the units of the scan, as OUT is. The mean of K samples is
    10 log10(1 + 1/K) dB worse than the posterior's own, 0.5 dB for 8. Samples depend on --seed and their numbers alone.

    The default sampler takes preconditioned Langevin steps with the exact likelihood. pc, dds and csgm, the rule
    released with arXiv 2108.01368, make images and no spread that could be trusted; that of the others is known to
    be right with levels enough, and noise enough: else the report says `uncalibrated`. A run that was cut off has
    lost no batch of samples, of --chunk or --every: the folder OUT.run is there until OUT is. --accel, --mask and
    --maps are those of flat-recon.
    """
    for option, given in (("--std", std), ("--reference", reference)):
        if given is not None and samples < 2:
            raise UsageError(f"{option}: one sample has no standard deviation", hint="--samples 2 or more")

    from mrikit.cli.posterior import Report, run_folder
    from mrikit.physics.retrospective import Sampling
    from mrikit.physics.scan import prepare
    from mrikit.score.checkpoint import Checkpoint
    from mrikit.score.reconstruct import Plan, load_prior, reconstruct

    prior = load_prior(model, run.device)  # a wrong one is found out before the scan is read
    plan = Plan(prior, sampler, samples, steps, sigma_y, run.seed, run.chunk, every, run.device)
    how = Sampling(accel, mask_kind, acs, axis, run.seed)
    told = Report(run, plan, report, reference, model)
    folder = run_folder(out)
    if resume and (folder is None or not folder.exists()):
        run.say(f"{folder or 'a pipe'}: nothing to go on with, so this run begins")
    checkpoint = Checkpoint(folder, told.terms(keeps=save_samples is not None), resume=resume, force=run.settings.force)

    def one_slice(kspace: Any, mask: Any, maps: Any, truth: Any) -> tuple[Any, ...]:
        piece = prepare(kspace, mask, maps, how, method="langevin")
        told.require_fit(truth, piece.shape)
        result = reconstruct(
            piece, plan, told.n_slices, checkpoint=checkpoint, keep=save_samples is not None, watch=run.within_slice
        )
        told.add(piece, result.moments, truth)
        return result.moments.mean, result.moments.std, result.stacked(), piece.maps

    sources = [run.open_checked(in_, "kspace"), run.open_if(mask, "mask"), run.open_if(maps, "maps")]
    outs, kinds = [out, std, save_samples, maps_out], ["image", "image", "samples", "maps"]
    run.stream(one_slice, [*sources, told.opened], outs, kinds, part=[part, "auto", part, "auto"])
    told.finish(accel)
    run.afterwards(checkpoint.remove)
