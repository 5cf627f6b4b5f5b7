"""Where `push` and `pull` find Label Studio and a token for it; neither ever gets into a workspace, ledger or log.

In this order, each for itself:

1. options;
2. ``LABEL_STUDIO_URL`` and ``LABEL_STUDIO_API_KEY``; the key goes to no other URL than the one beside it;
3. the system's keyring (`d2midi annotate login`), by URL;
4. the private folder of a `d2midi annotate serve` for this workspace, on this machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, cast

from d2midi_build.annotate.studio.private import Address, Private
from d2midi_build.annotate.studio.transport import checked_url
from d2midi_build.errors import UsageError

URL_VARIABLE: Final = "LABEL_STUDIO_URL"
TOKEN_VARIABLE: Final = "LABEL_STUDIO_API_KEY"
SERVICE: Final = "d2midi"
"""Under which the keyring keeps tokens; the user is the URL."""


@dataclass(frozen=True)
class Credentials:
    """A Label Studio and a token for it.

    Attributes
    ----------
    url : str
    token : str
        Not in ``repr``.
    source : {"option", "environment", "keyring", "serve"}
        Where the token is from.
    listen_url : str
        Of the Listen page, as annotators reach it; empty where none is known.
    """

    url: str
    token: str = field(repr=False)
    source: str
    listen_url: str = ""


class _Keyring(Protocol):
    def get_password(self, service: str, user: str) -> str | None: ...

    def set_password(self, service: str, user: str, password: str) -> None: ...

    def delete_password(self, service: str, user: str) -> None: ...


def find(
    workspace: Path,
    *,
    url: str = "",
    token: str = "",
    data_dir: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Credentials:
    """Label Studio's URL and a token for it.

    Parameters
    ----------
    workspace : Path
        Whose `serve` to look for.
    url, token : str, optional
        From options.
    data_dir : Path, optional
        Where that `serve` keeps its data, if not in the usual place.
    environment : mapping, optional
        Default is the process's.

    Raises
    ------
    UsageError
        If one of the two is nowhere; says how to give it.
    """
    private = Private(workspace, data_dir)
    served = private.address()
    told = environment.get(URL_VARIABLE, "").strip()
    where = _url(url or told, served)
    is_served = served is not None and where in (served.url, served.public_url)
    listen_url = served.listen_url if served is not None and is_served else ""
    key = environment.get(TOKEN_VARIABLE, "").strip()
    if key and told and checked_url(told) != where:
        key = ""  # meant for that one
    found = (
        ("option", token.strip()),
        ("environment", key),
        ("keyring", _kept(where)),
        ("serve", private.token() if is_served else ""),
    )
    for source, value in found:
        if value:
            return Credentials(where, value, source, listen_url)
    raise UsageError(
        f"no token for {where}: copy one from its Account & Settings page, and keep it with `d2midi annotate login "
        f"--url {where}` or in {TOKEN_VARIABLE}"
    )


def url_for(workspace: Path, url: str, data_dir: Path | None = None) -> str:
    """A URL that was given, else that of the workspace's `serve`.

    Raises
    ------
    UsageError
        If there is neither, or it is no URL.
    """
    return _url(url, Private(workspace, data_dir).address())


def _url(url: str, served: Address | None) -> str:
    if not url and served is None:
        raise UsageError(
            f"which Label Studio? Start one with `d2midi annotate serve`, or give its URL with --url or {URL_VARIABLE}"
        )
    return checked_url(url or (served.url if served else ""))


def remember(url: str, token: str) -> None:
    """Keep a token in the system's keyring.

    Raises
    ------
    UsageError
        If there is no keyring that keeps it.
    """
    keyring = _keyring()
    if keyring is None:
        raise UsageError(_no_keyring("it is not installed (extra `label-studio`)"))
    try:
        keyring.set_password(SERVICE, checked_url(url), token)
    except _failures() as error:
        raise UsageError(_no_keyring(type(error).__name__)) from error


def forget(url: str) -> bool:
    """Remove a token from the system's keyring; returns whether there was one."""
    keyring = _keyring()
    if keyring is None or not _kept(url):
        return False
    try:
        keyring.delete_password(SERVICE, checked_url(url))
    except _failures():
        return False
    return True


def _kept(url: str) -> str:
    keyring = _keyring()
    if keyring is None:
        return ""
    try:
        return keyring.get_password(SERVICE, checked_url(url)) or ""
    except _failures():
        return ""


def _keyring() -> _Keyring | None:
    try:
        import keyring
    except ImportError:
        return None
    return cast(_Keyring, keyring)


def _failures() -> tuple[type[Exception], ...]:
    """What a keyring raises that is not there, locked, or has no desktop to ask on."""
    from keyring.errors import KeyringError

    return (KeyringError, RuntimeError, OSError)


def _no_keyring(why: str) -> str:
    return (
        f"this machine has no keyring that keeps tokens ({why}): set {TOKEN_VARIABLE} in the environment instead, for "
        "example from a file that only you can read"
    )
