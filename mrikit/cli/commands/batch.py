"""mrikit batch: one command over many scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit batch --out images scans/*.h5 -- flat-recon --accel 8 {in} {out}.nii", "every scan of a folder"),
        (
            "mrikit batch --jobs 4 --group 8 --out rss scans/*.h5 -- rss {in} {out}.nii",
            "small scans: eight a process, four processes",
        ),
        (
            "mrikit batch --out ref s*.h5 -- 'mrikit espirit {in} - | mrikit mvue {in} - {out}.nii'",
            "a pipeline, as one string",
        ),
        (
            "mrikit batch --executor slurm --retries 2 --resources gpu=1 --resources runtime=30 --out images s*.h5 -- "
            "flat-recon {in} {out}.nii",
            "on a cluster, a GPU and half an hour a job",
        ),
    ],
    uses=["threads"],
)
def batch(
    run: Run,
    words: Annotated[
        list[str],
        typer.Argument(metavar="SCAN... -- COMMAND...", help="Scans, and what to do with each: {in} to {out}."),
    ],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder of the outputs, made where it is missing.")],
    jobs: Annotated[
        int | None, typer.Option(help="Jobs at a time; 1 by default, 100 on a cluster.", min=1, show_default=False)
    ] = None,
    group: Annotated[int, typer.Option(metavar="N", help="Scans a job: its process starts once for all.", min=1)] = 1,
    executor: Annotated[
        str, typer.Option(metavar="NAME", help="Where jobs run: local, or a plugin of Snakemake's: slurm, kubernetes.")
    ] = "local",
    retries: Annotated[int, typer.Option(help="Attempts more for a job that failed.", min=0)] = 0,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going/--fail-fast", help="Go on with the others where a scan failed, or begin no more."),
    ] = True,
    resources: params.Resources = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be run.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Do finished scans, too, and replace what is there.")] = False,
) -> None:
    """Run one command over many scans: here, or on a cluster.

    {in} is the scan, {out} its name without suffix in DIR, {parent} the name of its folder, for scans of one name;
    names need no quotes. What is finished is not done again, so the same line goes on where a batch was cut off:
    finished is what this very command made of the scan as it is now, with outputs that are whole and unchanged.
    DIR/batch.jsonl has input, outcome, seconds, peak memory and error line of every scan. Exit 8 where some failed.

    Jobs go through Snakemake (pip install 'mrikit[batch]'; 'mrikit[slurm]', 'mrikit[kubernetes]'). --threads is for
    each job: by default jobs here share the cores evenly, and on a cluster have one. --resources gpu=1 gives every job
    a GPU of its own. What else an executor can be told stands in a Snakemake profile, named by SNAKEMAKE_PROFILE.
    """
    from mrikit.cli.batch.control import batch
    from mrikit.cli.batch.engine import How
    from mrikit.cli.batch.plan import make_items, split

    scans, template = split(run.argv, words)
    folder = Path(out).absolute()
    items = make_items(scans, template, folder)
    how = How(executor, jobs, group, retries, keep_going, run.settings.threads, dict(resources or []))
    batch(run, items, folder, how, dry_run=dry_run, force=force)
