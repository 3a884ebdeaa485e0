"""The README of a repository: metadata that the Hub filters by, a use in three lines, and what the card says, for people."""

import re
from collections.abc import Iterable

import genrestore
from genrestore import tasks
from genrestore.card import Card, Metric
from genrestore.hub.kinds import LIBRARY, SAMPLE
from genrestore.licences import LICENCES, licence_told
from genrestore.references import SCHEME

# Sets of pictures that the Hub has under these names; others are tags that lead nowhere.
DATASETS = {"mnist": "ylecun/mnist", "cifar10": "uoft-cs/cifar10", "fashion-mnist": "zalando-datasets/fashion_mnist"}
# Licences by the Hub's names: the SPDX identifiers in small letters, but for these.
HUB = {"gpl-2.0-or-later": "gpl-2.0", "gpl-3.0-or-later": "gpl-3.0", "ofl-1.1": "ofl-1.1", "unlicense": "unlicense"}
NOT_SPDX = ("own", "public-domain", "unknown")


def readme(card: Card, repository: str, pictured: bool) -> str:
    """README.md of a repository.

    Args:
        card: as others may read it, see `genrestore.hub.scrub`.
        repository: "owner/name".
        pictured: whether a sample picture goes with it.
    """
    return f"---\n{_metadata(card)}\n---\n\n{_text(card, repository, pictured)}"


def _metadata(card: Card) -> str:
    """YAML as the Hub reads it."""
    from huggingface_hub import EvalResult, ModelCardData

    task = tasks.find(card.task)
    licence, name = _licence(card.license)
    results = [
        EvalResult(
            task_type=task.pipeline,
            task_name=task.title,
            dataset_type=_slug(metric.set),
            dataset_name=metric.set,
            metric_type=_slug(metric.name),
            metric_name=f"{metric.name} ({metric.protocol})" if metric.protocol else metric.name,
            metric_value=metric.value,
            metric_args={"n": metric.n, "command": metric.command},
        )
        for metric in card.metrics
    ]
    datasets = [_dataset(name) for source in card.data for name in source.name.split(" + ")]
    data = ModelCardData(
        license=licence,
        license_name=name or None,
        license_link="README.md#licence" if name else None,
        library_name=LIBRARY,
        pipeline_tag=task.pipeline,
        tags=[LIBRARY, _slug(card.task), _slug(card.architecture)],
        datasets=[name for name in dict.fromkeys(datasets) if name] or None,
        model_name=card.name,
        eval_results=results or None,
    )
    return data.to_yaml()


def _licence(text: str) -> tuple[str, str]:
    """The Hub's identifier of a licence; "other" and a name where it is none of the known ones."""
    told = licence_told(text).strip()
    known = {name.lower() for name in LICENCES if name not in NOT_SPDX}
    if told.lower() in known:
        return HUB.get(told.lower(), told.lower()), ""
    first = re.match(r"[A-Za-z0-9.+-]+", told)
    leading = first[0].lower() if first and first[0].lower() in known else ""
    return ("other", f"{leading}-with-notes" if leading else _slug(told)[:60] or "unknown")


def _dataset(name: str) -> str:
    return DATASETS.get(name.lower(), _slug(name))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower().replace("σ", "sigma")).strip("-.")


def _text(card: Card, repository: str, pictured: bool) -> str:
    task = tasks.find(card.task)
    reference = SCHEME + repository
    if task.function in genrestore.__all__:
        use = ["```python", "import genrestore", f'genrestore.pull("{reference}")', task.use.format(reference), "```"]
    else:
        command = f"genrestore {task.function.replace('_', '-')} photo.jpg --model {reference}"
        use = ["```bash", "pip install genrestore", f"genrestore models pull {reference} --yes", command, "```"]
    facts = [
        ("Task", task.title), ("Net", f"{card.architecture}, {card.parameters:,} parameters"), ("Intended for", card.intended),
        ("Limits", card.limits), ("Paper", card.paper), ("Trained on", _trained(card)), ("Hardware", card.hardware),
    ]  # fmt: skip
    lines = [
        f"# {_plain(card.title or card.name)}",
        *([f"![What it makes]({SAMPLE})"] if pictured else []),
        "\n".join(use),
        "\n".join(f"- **{name}**: {_plain(text)}" for name, text in facts if text),
        *(["## Measured", _measured(card.metrics)] if card.metrics else []),
        "## Licence",
        _plain(licence_told(card.license)) or "Not stated.",
        f"`card.json` holds the exact recipe, `config.json` what rebuilds the net; both and this page were written by "
        f"genrestore {genrestore.__version__}.",
    ]
    return "\n\n".join(lines) + "\n"


def _trained(card: Card) -> str:
    return "; ".join(
        f"{source.name} ({source.count:,} pictures, {licence_told(source.licence)})" for source in card.data
    )


def _measured(metrics: Iterable[Metric]) -> str:
    cells = [
        (m.set, m.name, f"{m.value:g}", f"{m.n:,}", m.protocol, f"`{m.command}`" if m.command else "") for m in metrics
    ]
    rows = [f"| {' | '.join(text.replace('|', '/') for text in row)} |" for row in cells]
    return "\n".join(["| set | measure | value | n | how | command |", "|---|---|---|---|---|---|", *rows])


def _plain(text: str) -> str:
    """A text that no reader of Markdown takes for markup."""
    return re.sub(r"([\\`*_\[\]<>#])", r"\\\1", text)
