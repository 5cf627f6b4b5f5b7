"""Serving an application in a thread of this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from d2midi_build.errors import UsageError

if TYPE_CHECKING:
    from starlette.applications import Starlette

_PATIENCE_S: Final = 2
"""A browser may hold a video's connection open for ever."""


@contextmanager
def serving(app: Starlette, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve an application for as long as the context lasts.

    Parameters
    ----------
    app : Starlette
    host : str, optional
        Address to listen at; the loopback by default.
    port : int, optional
        0, the default, lets the system choose.

    Yields
    ------
    str
        The address, such as ``http://127.0.0.1:8091``, which answers at once.

    Raises
    ------
    UsageError
        If the address cannot be had.
    """
    import uvicorn

    listening = _listening(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",  # what fails is logged by the application
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_PATIENCE_S,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="listen-page", daemon=True)
    thread.start()
    name = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{name}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def _listening(host: str, port: int) -> socket.socket:
    """A socket that connections already queue at."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UsageError(f"cannot serve at {host}:{port} ({error.strerror}); choose another port") from error
