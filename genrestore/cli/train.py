"""Training."""

from typing import Annotated, Any

import typer

from genrestore.cli.options import enter
from genrestore.training.options import OPTIONS, Option


def train(**given: Any) -> None:
    """Train a net on your own pictures. Ctrl-C ends it with a checkpoint; --resume goes on where it was.

    Example: genrestore train dcgan-cifar10 --data cats --licence own --minutes 30
    """
    from genrestore.training.command import call

    call(given)


def _parameter(name: str, one: Option) -> tuple[Any, Any]:
    """The type of an option with what typer is to know of it, and its default."""
    flags = one.flags(name)
    if name == "preset":
        return Annotated[str | None, typer.Argument(help=one.help, show_default=False)], None
    if one.kind is bool:
        return Annotated[bool, typer.Option(*flags, help=one.help)], False
    if one.kind is list:
        return Annotated[list[str] | None, typer.Option(*flags, metavar="NAME=VALUE", help=one.help)], None
    kind: Any = one.kind
    return Annotated[kind | None, typer.Option(*flags, help=one.help, show_default=one.usual or False)], None


enter("train", train, {name: _parameter(name, one) for name, one in OPTIONS.items()})
