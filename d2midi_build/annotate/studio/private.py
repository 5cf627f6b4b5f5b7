"""What a Label Studio of ours keeps for itself: data and secrets, outside the workspace, closed to other users.

$XDG_DATA_HOME/d2midi/label-studio/NAME-DIGEST/     one per workspace; default ~/.local/share
  admin.json          e-mail, password and token of the first user
  server.json         where it runs, while it runs
  lock                held while it runs
  label-studio.log    what it said
  data/               its database, and the key that signs its sessions
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from d2midi_build.errors import UsageError

DEFAULT_EMAIL: Final = "admin@localhost"
_NAME_CHARS: Final = 40
_DIGEST_CHARS: Final = 12


@dataclass(frozen=True)
class Admin:
    """The first user.

    Attributes
    ----------
    email, password : str
        To log in with.
    token : str
        For `push` and `pull`.
    """

    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True)
class Address:
    """Where a server runs.

    Attributes
    ----------
    url : str
        Label Studio, from this machine.
    public_url : str
        Label Studio, as annotators reach it.
    listen_url : str
        The Listen page, as annotators reach it; empty if there is none.
    process : int
        Of d2midi.
    group : int
        The process group of Label Studio.
    """

    url: str
    public_url: str
    listen_url: str
    process: int
    group: int


class Private:
    """The private folder of a workspace's Label Studio.

    Parameters
    ----------
    root : Path
        The workspace.
    folder : Path, optional
        The private folder, if not the usual one.
    """

    def __init__(self, root: Path, folder: Path | None = None) -> None:
        self._root = root.resolve()
        self.folder = (folder or _usual(self._root)).resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "label-studio.log"
        self.admin_path = self.folder / "admin.json"
        self._address_path = self.folder / "server.json"
        self._lock_path = self.folder / "lock"

    def make(self) -> None:
        """Make the folder, closed to others.

        Raises
        ------
        UsageError
            If that cannot be, or the folder lies in the workspace, which people copy and share.
        """
        if self.folder.is_relative_to(self._root):
            raise UsageError(
                f"{self.folder} lies in the workspace, which is copied and shared: Label Studio's passwords belong "
                "elsewhere. Choose another folder with --data"
            )
        try:
            there = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
            if there and not there & {self.data.name, self.admin_path.name}:
                raise UsageError(
                    f"{self.folder} holds other things, and would be closed to everybody else: choose a folder of its "
                    "own with --data"
                )
            self.data.mkdir(parents=True, exist_ok=True)
            for folder in (self.folder, self.data):
                folder.chmod(0o700)
        except OSError as error:
            raise UsageError(
                f"cannot keep Label Studio's data in {self.folder}: {error.strerror}; choose another folder with --data"
            ) from error

    @contextmanager
    def lock(self) -> Iterator[int]:
        """Hold the folder, so that one server at a time uses its database; gives the file descriptor that holds it.

        Raises
        ------
        UsageError
            If another holds it; says where that runs.
        """
        with self._lock_path.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(self._busy()) from None
            yield handle.fileno()

    def _busy(self) -> str:
        address = self.address()
        if address is None:
            return f"a Label Studio for this workspace is starting already ({self.folder} is locked)"
        if _lives(address.process):
            return (
                f"a Label Studio for this workspace runs already at {address.public_url} (process {address.process}): "
                "use that, or stop it with Ctrl-C where it was started"
            )
        return (
            f"a Label Studio for this workspace still runs at {address.public_url}, though the d2midi that started it "
            f"is gone: stop it with `kill -- -{address.group}`"
        )

    def admin(self, email: str = "", password: str = "") -> tuple[Admin, bool]:
        """The first user, made at the first call.

        Parameters
        ----------
        email, password : str, optional
            For a user that is made; default `DEFAULT_EMAIL` and a random one.

        Returns
        -------
        tuple of (Admin, bool)
            And whether it was made just now.

        Raises
        ------
        UsageError
            If the file is damaged, or holds another user than asked for.
        """
        try:
            known = json.loads(self.admin_path.read_text())
            admin = Admin(str(known["email"]), str(known["password"]), str(known["token"]))
        except FileNotFoundError:
            admin = Admin(
                email or DEFAULT_EMAIL, password or secrets.token_urlsafe(15), secrets.token_hex(20)
            )
            self._write(self.admin_path, asdict(admin))
            return admin, True
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"cannot read {self.admin_path}: {error}. Without it nobody knows the token: move {self.folder} away "
                "to start with an empty Label Studio"
            ) from error
        if (email and email != admin.email) or (password and password != admin.password):
            raise UsageError(
                f"this Label Studio has its first user already ({admin.email}, see {self.admin_path}): leave "
                "D2MIDI_LABEL_STUDIO_USER and D2MIDI_LABEL_STUDIO_PASSWORD out"
            )
        return admin, False

    def token(self) -> str:
        """The first user's token; empty if there is none."""
        try:
            known = json.loads(self.admin_path.read_text())
            return str(known["token"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def address(self) -> Address | None:
        """Where the server runs; None if none does."""
        try:
            told = json.loads(self._address_path.read_text())
            address = Address(
                str(told["url"]),
                str(told["public_url"]),
                str(told["listen_url"]),
                int(told["process"]),
                int(told["group"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return address if _lives(address.process) or _lives(-address.group) else None

    @contextmanager
    def told(self, address: Address) -> Iterator[None]:
        """Tell others where the server runs, as long as it does."""
        self._write(self._address_path, asdict(address))
        try:
            yield
        finally:
            self.forget()

    def forget(self) -> None:
        """No server runs."""
        with suppress(FileNotFoundError):
            self._address_path.unlink()

    def _write(self, path: Path, data: dict[str, Any]) -> None:
        """Whole or not at all, and never readable by others."""
        new = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            json.dump(data, handle, indent=1)
            handle.flush()
            os.fsync(handle.fileno())
        new.replace(path)


def _usual(root: Path) -> Path:
    home = os.environ.get("XDG_DATA_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "share"
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:_DIGEST_CHARS]
    name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in root.name)[
        :_NAME_CHARS
    ]
    return base / "d2midi" / "label-studio" / f"{name}-{digest}"


def _lives(process: int) -> bool:
    """Whether a process is there, or a process group if negative."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
