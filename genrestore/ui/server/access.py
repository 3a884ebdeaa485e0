"""Who may train on a page, and in whose hands its models are: whoever sits at the computer that serves it, the owner of a
Space, and else nobody.

Training takes this computer's time and disk for hours, and at the computer itself it reads any folder that is named. A page
whose visitors all may train is still not theirs: they delete no models, and send none in the name of whoever serves it.
"""

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import gradio as gr

from genrestore.errors import GenrestoreError, SettingError
from genrestore.paths import space
from genrestore.pictures import image
from genrestore.ui.server.guard import foreign, netloc
from genrestore.ui.server.visitors import forwarded, loopback
from genrestore.ui.words.sentences import translated

SIGN_IN = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")  # set where hf_oauth is on
FOREIGN = "Another site asked this of the page; open the page itself."
HANDS = (
    "The models of this page are in the hands of whoever runs it; run genrestore on your own computer to have yours."
)
OFF = "Training is off on this page; run genrestore on your own computer to train, or start this page with --training."


@dataclass(frozen=True)
class Access:
    """What a page allows.

    Attributes:
        anyone: whoever opens the page may train.
        owner: the one user who may, once signed in, where `anyone` is off; "" is nobody.
        local: only this computer reaches the page, so that its visitors may name folders of it.
    """

    anyone: bool = False
    owner: str = ""
    local: bool = False

    @classmethod
    def of(cls, host: str | None, training: bool | None, *, proxied: bool = False) -> "Access":
        """What a page may allow that listens on `host`; `training` None is yes for this computer only.

        A page that another server publishes (`proxied`) is never for this computer only. On a Hugging Face Space it is
        the owner at most, whatever `training` says, for a Space is open to all.
        """
        if name := space():
            owner = os.environ.get("SPACE_AUTHOR_NAME") or name.partition("/")[0]
            return cls(owner=owner if training is not False and can_sign_in() else "")
        strangers = proxied or image.limits() == image.Limits.public()  # they come through another server here
        local = loopback(host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1") and not strangers
        return cls(anyone=local if training is None else training, local=local)

    @property
    def closed(self) -> bool:
        """Whether nobody may train."""
        return not (self.anyone or self.owner)

    def allows(self, profile: gr.OAuthProfile | None) -> bool:
        """Whether a visitor may train who is signed in as `profile`."""
        return self.anyone or self._is_owner(profile)

    def check(self, profile: gr.OAuthProfile | None, request: gr.Request | None) -> None:
        """Refuse what this page must not do for whoever asks.

        Raises:
            SettingError: this visitor may not train, or the request comes from another site that the visitor has open.
        """
        if not self.allows(profile):
            raise SettingError(OFF)
        headers: Mapping[str, str] = request.headers if request else {}
        if foreign(headers):
            raise SettingError(FOREIGN)
        if self._strange(headers):
            raise SettingError(
                "Training is for this computer only; open the page at 127.0.0.1, or start it with --host and --training."
            )

    def owned(self, profile: gr.OAuthProfile | None) -> bool:
        """Whether the page is in the hands of a visitor who is signed in as `profile`."""
        return self.local or self._is_owner(profile)

    def check_owned(self, profile: gr.OAuthProfile | None, request: gr.Request | None) -> None:
        """Refuse what only whoever runs the page may do with its models.

        Raises:
            SettingError: this visitor is somebody else, or the request comes from another site that the visitor has open.
        """
        headers: Mapping[str, str] = request.headers if request else {}
        if not self.owned(profile) or self._strange(headers):
            raise SettingError(HANDS)
        if foreign(headers):
            raise SettingError(FOREIGN)

    def _is_owner(self, profile: gr.OAuthProfile | None) -> bool:
        return bool(self.owner and profile and profile.username.lower() == self.owner.lower())

    def _strange(self, headers: Mapping[str, str]) -> bool:
        """Whether a request to a page for this computer only may come from elsewhere."""
        # A stranger's name that leads to this computer would make a stranger's page look like this one to the browser; what
        # another server hands on may come from anywhere.
        host = netloc("//" + headers.get("host", "localhost"))
        named = loopback(urlsplit("//" + host).hostname or "")
        return self.local and (not named or forwarded(headers))

    def guarded(self, question: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """A server function that answers those only who may train; an error becomes {"problem": sentence}."""

        def answer(data: Any, profile: gr.OAuthProfile | None, request: gr.Request) -> dict[str, Any]:
            try:
                self.check(profile, request)
                return question(cast("dict[str, Any]", data) if isinstance(data, dict) else {})
            except GenrestoreError as problem:
                return {"problem": translated(problem)}

        answer.__name__ = question.__name__
        return answer


def can_sign_in() -> bool:
    """Whether Gradio's sign-in works here; where it does not, a page with its button does not even start."""
    there = os.environ.get("SYSTEM") == "spaces" and all(map(os.environ.get, SIGN_IN))
    return there and all(importlib.util.find_spec(package) for package in ("authlib", "itsdangerous"))
