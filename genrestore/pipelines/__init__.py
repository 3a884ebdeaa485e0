"""What a person asks for: pictures in, pictures out. No Gradio and no printing here; page and command line call these."""

import functools
from collections.abc import Callable
from typing import Any

from genrestore import tasks


def find(task: str) -> Callable[..., Any]:
    """What does a task: the public function of that name, or what all tasks share that make of a picture another one."""
    import genrestore

    if own := getattr(genrestore, tasks.find(task).function, None):
        return own
    from genrestore.pipelines.image_to_image import translate

    return functools.partial(translate, task)
