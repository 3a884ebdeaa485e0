"""`Net.from_pretrained("owner/repo")`, as people know it of other libraries: out of the client's cache, nothing installed."""

from pathlib import Path
from typing import Any

from genrestore import weights
from genrestore.card import MOST_BYTES, Card
from genrestore.errors import ModelError
from genrestore.hub import client, pull
from genrestore.hub.kinds import CARD
from genrestore.references import WEIGHT, Reference, repository_of


def load(
    kind: type[Any],
    name: str,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Any:
    """A net with the weights of a repository or a folder, in float32 on the CPU, in evaluation mode.

    Args:
        kind: the net's class.
        name: "owner/repo", or the path of a folder with model.safetensors.
        revision, cache_dir, force_download, local_files_only, token: as `huggingface_hub.hf_hub_download` takes them.

    Raises:
        ModelError: there is no such repository or folder, it holds another net, or it is damaged.
    """
    if Path(name).is_dir():
        net = weights.load_net(Path(name) / WEIGHT)
    else:
        wanted = Reference(repository_of(name), revision or "")
        options = {
            "revision": revision, "cache_dir": cache_dir, "force_download": force_download,
            "local_files_only": local_files_only, "token": token,
        }  # fmt: skip
        net = weights.load_net(_checked(wanted, options))
    if isinstance(net, kind):
        return net
    if not issubclass(kind, type(net)):
        raise ModelError(
            f"{name[:100]} holds a {type(net).__name__}, not a {kind.__name__}; call that class's from_pretrained."
        )
    own = kind(net.config)
    own.load_state_dict(net.state_dict())
    return own.eval()


def _checked(wanted: Reference, options: dict[str, Any]) -> Path:
    """The weight in the client's cache, if it is the one that its card tells of.

    Raises:
        ModelError: it is not; then it is taken out of the cache.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with client.told(wanted):
        path = Path(hf_hub_download(wanted.repository, WEIGHT, **options))
        try:
            counted = client.counter(client.at_most(MOST_BYTES, f"{CARD} of {wanted}"), None)
            beside = Path(hf_hub_download(wanted.repository, CARD, tqdm_class=counted, **options))
        except EntryNotFoundError:  # one of ours that others' tools pushed
            return path
    if weights.digest(path) != Card.read(beside.parent).sha256:
        pull.evict(path)
        raise ModelError(f"{wanted.file} of {wanted} is not the file that its card describes (sha256 differs).")
    return path
