"""Pictures from latent vectors."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

import genrestore
from genrestore.cli.files import planned
from genrestore.cli.options import STREAM, Conditions, Force, Model, Out, Recipe, app, conditions_of, declared
from genrestore.errors import SettingError


@app.command()
def sample(
    model: Model = "auto",
    n: Annotated[int, declared("sample", "n", "-n", "--n")] = 1,
    seed: Annotated[int, declared("sample", "seed")] = 0,
    latent: Annotated[
        Path | None, typer.Option(help=".npy with one latent vector a row, instead of a seed.", show_default=False)
    ] = None,
    truncation: Annotated[float, declared("sample", "truncation")] = 1.0,
    out: Out = None,
    set_: Conditions = None,
    recipe: Recipe = True,
    force: Force = False,
) -> None:
    """Make pictures from nothing but a seed.

    Example: genrestore sample --model vae-clothing -n 4 --seed 7 -o shirt.png
    """
    import numpy as np

    from genrestore import weights
    from genrestore.pictures import image
    from genrestore.pipelines.arguments import whole
    from genrestore.pipelines.sample import seeds, signed
    from genrestore.tasks.sample import MOST

    if out == STREAM:
        raise SettingError("Samples are written to files only; name one with -o.")
    told = conditions_of(set_)
    rows = None if latent is None else _read_latent(latent)
    numbers = seeds(n, seed) if rows is None else range(whole("rows of latent", len(rows), 1, MOST))
    single = out or Path(f"{_file_name(weights.resolve(model, 'sample').name)}.png")
    named = [single] if out and len(numbers) == 1 else [single.with_stem(f"{single.stem}-{k}") for k in numbers]
    like = image.Picture(np.zeros((1, 1, 3), np.uint8))
    paths = [planned(path, like, (1, 1), force) for path in named]
    pictures = genrestore.sample(model, n, seed, latent=rows, truncation=truncation, **told)
    for k, (picture, path) in enumerate(zip(pictures, paths, strict=True)):
        start: dict[str, Any] = {"seed": numbers[k], "truncation": truncation} if rows is None else {"latent": rows[k]}
        print(image.save(signed(picture, model, **start, told=told), path, recipe=recipe))


def _file_name(name: str) -> str:
    """A model's name, of which a card may say anything, as the name of a file in this folder."""
    return re.sub(r"[^\w.-]+", "-", name)[:100].strip(".-") or "sample"


def _read_latent(path: Path) -> Any:
    """(n, Z) numbers.

    Raises:
        SettingError: it is no .npy file, or holds other than rows of numbers.
    """
    import numpy as np

    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a header may claim any number of rows
    except (OSError, ValueError, EOFError, OverflowError) as problem:  # the last of a negative shape
        raise SettingError(f"{path} is not a readable .npy file ({problem}); write one with numpy.save.") from problem
    if not isinstance(rows, np.ndarray) or rows.ndim > 2 or rows.dtype.kind not in "fiu":
        raise SettingError(f"{path} holds no rows of numbers; write one latent a row with numpy.save.")
    return np.atleast_2d(rows)
