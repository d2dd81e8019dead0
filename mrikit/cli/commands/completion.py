"""mrikit completion: the script that completes commands, options and files in a shell."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mrikit.cli.runner import Run, command


@command(
    examples=[
        ('eval "$(mrikit completion bash)"', "complete in this shell; in ~/.bashrc, in every one"),
        ('eval "$(mrikit completion zsh)"', "the same for zsh, in ~/.zshrc after compinit"),
        (
            "mrikit completion fish > ~/.config/fish/completions/mrikit.fish",
            "for fish, from the next shell on",
        ),
    ],
)
def completion(
    run: Run,
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the completion script for a shell.

    The script asks mrikit itself, so it stays right when mrikit changes.
    """
    from mrikit.cli.app import completion_script

    run.result(completion_script(shell), shell=shell)
