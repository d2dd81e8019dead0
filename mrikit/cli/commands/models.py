"""mrikit models: the default weights."""

from __future__ import annotations

from typing import Annotated

import typer

from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit models", "what ships with mrikit"),
        ("mrikit models flat-small", "the model card: data, command, seed, figures, licence"),
    ]
)
def models(
    run: Run,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Show this model's card.", show_default=False)
    ] = None,
) -> None:
    """List the default weights, or show the card of one."""
    from mrikit import weights

    if name is None:
        cards = {n: weights.card(n) for n in weights.names()}
        run.result("\n".join(weights.summary(n, card) for n, card in cards.items()), models=cards)
    else:
        card = weights.card(name)
        run.result(weights.as_text(card), model=card)
