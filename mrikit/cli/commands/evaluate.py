"""mrikit evaluate: every method side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mrikit.cli import params, types
from mrikit.cli.runner import Run, command
from mrikit.errors import BatchError


@command(
    examples=[
        ("mrikit evaluate --accel 4,8 --out results scan.h5", "six methods under random lines"),
        (
            "mrikit evaluate --methods l2,wavelet,flat --tune apart.h5 --out results scan.h5",
            "lambda from another",
        ),
        ("mrikit evaluate --methods flat,flat=own.safetensors --out results scan.h5", "the default weights and yours"),
        (
            "mrikit evaluate --methods langevin --accel 4 --resume --out results scan.h5",
            "later, a slow one",
        ),
    ],
    uses=["device", "seed", "threads"],
)
def evaluate(
    run: Run,
    scans: Annotated[list[str], params.input_file("SCANS...", "Fully sampled k-space.")],
    out: Annotated[str, params.output_folder("--out", "Where results go.")],
    methods: Annotated[
        Any,
        typer.Option(
            metavar="NAME,...",
            help="zf, l2, wavelet, tv, modl, varnet, flat, flat-adapt, langevin, convdecoder; flat=FILE: its weights.",
            click_type=types.Words(),
        ),
    ] = "zf,l2,wavelet,modl,varnet,flat",
    accel: params.SeveralAccels = "4,8",
    mask_kind: params.SeveralKinds = "random",
    axis: params.SeveralAxes = "x",
    slices: params.Slices = None,
    samples: Annotated[int, typer.Option(help="Samples of langevin.", min=2)] = 4,
    iters: Annotated[int, typer.Option(help="Iterations of convdecoder.", min=1)] = 1000,
    tune: Annotated[
        list[str] | None,
        params.input_option("--tune", "Search the lambdas of l2, wavelet and tv on this scan; may be given again."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes, which share the CPU.", min=1)] = 1,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse scans that are not fully sampled.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Make only what DIR lacks.")] = False,
) -> None:
    """Compare methods on fully sampled scans: scores, images, figures.

    Every slice is under-sampled once for each condition, maps are those of `espirit --refine`, and all methods get the
    same. PSNR, SSIM (plain and in the object) and NMSE are of magnitudes, against the MVUE of all the data. Cells of
    fewer than 16 lines are n/a. A cell that fails is named and does not stop the others (exit 8). A run that was cut
    off has lost no cell that was done: --resume makes the rest, or adds scans, methods and conditions.

    DIR holds results.csv and results.json, a row a scan, slice, condition and method; figures; and under cells the
    images, their references, and the masks, with which `flat-recon --mask` or BART see what all methods saw.
    `mrikit report DIR report.html` shows them all.
    """
    from mrikit.evaluate import summary
    from mrikit.evaluate.illustrate import illustrate
    from mrikit.evaluate.methods import Options, parse
    from mrikit.evaluate.scans import open_scans
    from mrikit.evaluate.study import Study, compare, conditions

    chosen = parse(methods)  # wrong names are found out before a scan is read
    study = Study(
        tuple(open_scans(scans, slices, strict=strict, warn=run.warn)),
        tuple(conditions(mask_kind, axis, accel)),
        tuple(chosen),
        Options(run.seed, samples, iters, run.device),
        apart=tuple(open_scans(tune, None, strict=strict, warn=run.warn)) if tune else (),
    )
    run.share_cpu(jobs)
    with run.progress(None) as bar:
        results, failures = compare(
            study,
            Path(out),
            resume=resume,
            force=run.settings.force,
            jobs=jobs,
            report=bar.report,
            warn=run.warn,
        )
    illustrate(results)
    rows = results.sorted()
    run.result(summary.table(rows), rows=len(rows), outputs=[{"file": out, "kind": "results"}])
    if failures:
        named = f"{len(failures)} failed, the first is {failures[0]}"
        raise BatchError(f"{out}: of the cells that were missing {named}", hint="--resume tries them again")
