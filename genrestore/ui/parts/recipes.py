"""What a dropped result says of how it was made, for the tab that made it; and what a visitor wants told in files."""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

import genrestore
from genrestore import tasks
from genrestore.errors import GenrestoreError
from genrestore.pictures import image
from genrestore.recipe import RunRecipe
from genrestore.ui.parts import picker
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import translated

TOLD = ("recipe", "photo")  # what a file may tell beside the picture

W = Words("recipes")


def read(path: Path, task: str, request: gr.Request) -> RunRecipe | None:
    """The recipe of a result that this task made; of another task's or one that makes no sense, the visitor reads that."""
    try:
        recipe = image.recipe(path)
    except GenrestoreError as problem:
        gr.Info(escape(translated(problem, request)))
        return None
    if recipe is None:
        return None
    if recipe.task != task:
        gr.Info(escape(elsewhere(recipe, request)))
        return None
    return recipe


def elsewhere(recipe: RunRecipe, request: gr.Request | None) -> str:
    """On which tab the settings of a result can be had again."""
    if recipe.task not in tasks.names():
        return W.text("unknown", request)
    return W.text("elsewhere", request, tab=translated(tasks.find(recipe.task).title, request))


def model(recipe: RunRecipe) -> str | None:
    """The name by which the list of models knows the weight; None where it is not here."""
    if recipe.model == picker.AUTO or recipe.model in tasks.find(recipe.task).ways:
        return recipe.model
    return next((card.name for card in genrestore.list_models(recipe.task) if card.sha256 == recipe.sha256), None)


def restored(recipe: RunRecipe, request: gr.Request) -> dict[str, Any]:
    """What a list of models is to show, after the visitor was told that settings were restored."""
    name = model(recipe)
    gr.Info(W.text("restored" if name else "without_model", request))
    return gr.update(value=name) if name else gr.skip()


def field(task: str) -> gr.CheckboxGroup:
    """What is to be told in files, inside the layout that is open."""
    choices = [(W(f"tell_{one}"), one) for one in TOLD]
    return gr.CheckboxGroup(choices, value=list(TOLD), label=W("tell"), elem_id=f"{task}-told")


def told(value: object) -> dict[str, bool]:
    """What the field says, as `image.encode` takes it."""
    chosen = value if isinstance(value, list) else list(TOLD)
    return {"recipe": "recipe" in chosen, "strip": "photo" not in chosen}
