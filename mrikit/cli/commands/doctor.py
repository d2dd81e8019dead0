"""mrikit doctor: is everything here?"""

from __future__ import annotations

from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit doctor", "versions, devices, memory, and how to install what is missing"),
        ("mrikit doctor --json > machine.json", "the same for a bug report"),
    ],
)
def doctor(run: Run) -> None:
    """Check this machine: versions, devices, memory, optional parts.

    Nothing is changed, and nothing that is absent is an error.
    """
    from mrikit.cli.machine import examine, render

    facts = examine()
    run.result(render(facts), **facts)
