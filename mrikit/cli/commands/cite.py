"""mrikit cite: the literature behind the commands."""

from __future__ import annotations

from typing import Annotated

import typer

from mrikit.cli.runner import Run, command

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME...", help="Commands or references; all without.", show_default=False),
]


@command(
    examples=[
        ("mrikit cite > mrikit.bib", "every reference"),
        ("mrikit cite espirit pics", "the methods behind two commands"),
    ],
)
def cite(run: Run, names: Names = None) -> None:
    """Print the BibTeX entries of the methods in use."""
    from mrikit.cli.references import find

    found = find(names or [])
    run.result("\n\n".join(found.values()), references=found)
