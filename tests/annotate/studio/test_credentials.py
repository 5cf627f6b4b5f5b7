"""Where a token comes from, and where it must not go."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked, PasswordDeleteError

from d2midi_build.annotate.studio.credentials import Credentials, find, forget, remember, url_for
from d2midi_build.annotate.studio.private import DEFAULT_EMAIL, Address, Private
from d2midi_build.errors import UsageError

URL = "https://label.example.org"


class Kept(KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise PasswordDeleteError("none")
        del self.kept[service, username]


class Locked(Kept):
    """One that its owner does not open."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("locked")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked("locked")


def using(backend: KeyringBackend) -> Iterator[KeyringBackend]:
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def no_keyring() -> Iterator[KeyringBackend]:
    yield from using(NoKeyring())  # type: ignore[no-untyped-call]


@pytest.fixture
def ring() -> Iterator[KeyringBackend]:
    yield from using(Kept())


@pytest.fixture
def locked() -> Iterator[KeyringBackend]:
    yield from using(Locked())


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With no data of others about."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "workspace").mkdir()
    return tmp_path / "workspace"


def address(url: str = "http://127.0.0.1:8080", process: int | None = None) -> Address:
    mine = os.getpid() if process is None else process
    return Address(url, "http://studio.lan:8080", "http://studio.lan:8081", mine, mine)


# Finding


def test_options_come_first(workspace: Path, ring: Kept) -> None:
    remember(URL, "kept")
    environment = {"LABEL_STUDIO_URL": "http://other", "LABEL_STUDIO_API_KEY": "told"}
    assert find(workspace, url=URL, token="given", environment=environment) == Credentials(
        URL, "given", "option"
    )


def test_the_environment_comes_before_the_keyring(workspace: Path, ring: Kept) -> None:
    remember(URL, "kept")
    environment = {"LABEL_STUDIO_URL": URL + "/", "LABEL_STUDIO_API_KEY": " told\n"}
    assert find(workspace, environment=environment) == Credentials(URL, "told", "environment")
    assert find(workspace, environment={"LABEL_STUDIO_URL": URL}) == Credentials(URL, "kept", "keyring")


def test_the_key_of_the_environment_goes_to_no_other_server_than_its_own(workspace: Path, ring: Kept) -> None:
    environment = {"LABEL_STUDIO_URL": "http://other", "LABEL_STUDIO_API_KEY": "others"}
    with pytest.raises(UsageError, match=f"no token for {URL}"):
        find(workspace, url=URL, environment=environment)
    del environment["LABEL_STUDIO_URL"]
    assert find(workspace, url=URL, environment=environment).token == "others"


def test_a_server_of_the_workspace_on_this_machine_needs_nothing(workspace: Path, no_keyring: object) -> None:
    private = Private(workspace)
    private.make()
    admin, _ = private.admin()
    with private.told(address()):
        found = find(workspace, environment={})
        assert found == Credentials("http://127.0.0.1:8080", admin.token, "serve", "http://studio.lan:8081")
        by_name = find(workspace, url="http://studio.lan:8080", environment={})
        assert (by_name.token, by_name.listen_url) == (admin.token, "http://studio.lan:8081")
        with pytest.raises(UsageError, match="no token"):
            find(workspace, url="http://127.0.0.1:9090", environment={})
    with pytest.raises(UsageError, match="which Label Studio"):
        find(workspace, environment={})


def test_a_server_that_died_without_saying_so_gets_no_token(workspace: Path, no_keyring: object) -> None:
    private = Private(workspace)
    private.make()
    private.admin()
    with private.told(address(process=2**22 + 1)), pytest.raises(UsageError, match="which Label Studio"):
        find(workspace, environment={})


def test_a_server_of_another_workspace_is_not_taken(
    workspace: Path, tmp_path: Path, no_keyring: object
) -> None:
    other = Private(tmp_path / "other")
    other.make()
    with other.told(address()), pytest.raises(UsageError, match="which Label Studio"):
        find(workspace, environment={})


def test_nothing_anywhere_says_how_to_give_it(workspace: Path, no_keyring: object) -> None:
    with pytest.raises(UsageError, match=r"d2midi annotate serve.*--url or LABEL_STUDIO_URL"):
        find(workspace, environment={})
    with pytest.raises(UsageError, match=r"d2midi annotate login .*LABEL_STUDIO_API_KEY"):
        find(workspace, url=URL, environment={})
    with pytest.raises(UsageError, match="no URL"):
        url_for(workspace, "nonsense")


def test_a_locked_keyring_is_as_none(workspace: Path, locked: Locked) -> None:
    with pytest.raises(UsageError, match="no token"):
        find(workspace, url=URL, environment={})
    with pytest.raises(UsageError, match="no keyring that keeps tokens"):
        remember(URL, "t")
    assert forget(URL) is False


# Keeping


def test_the_keyring_keeps_tokens_by_url(ring: Kept) -> None:
    remember(URL + "/", "one")
    remember("http://other", "two")
    assert ring.kept == {("d2midi", URL): "one", ("d2midi", "http://other"): "two"}
    assert forget(URL) is True
    assert forget(URL) is False
    assert list(ring.kept.values()) == ["two"]


def test_without_a_keyring_the_way_out_is_said(no_keyring: object) -> None:
    with pytest.raises(UsageError, match=r"no keyring that keeps tokens .*set LABEL_STUDIO_API_KEY"):
        remember(URL, "t")


def test_tokens_and_passwords_are_not_shown(workspace: Path) -> None:
    private = Private(workspace)
    private.make()
    admin, _ = private.admin()
    assert "secret" not in repr(Credentials(URL, "secret", "option"))
    assert admin.token not in repr(admin)
    assert admin.password not in repr(admin)


# The private folder


def test_secrets_are_closed_to_others_and_lie_outside_the_workspace(workspace: Path) -> None:
    private = Private(workspace)
    private.make()
    private.admin()
    with private.told(address()):
        made = [private.folder, *private.folder.rglob("*")]
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made}
    assert not private.folder.is_relative_to(workspace)
    assert modes == {private.folder.name: 0o700, "data": 0o700, "admin.json": 0o600, "server.json": 0o600}
    assert not private.folder.joinpath("server.json").exists()
    assert list(workspace.iterdir()) == []


def test_an_open_folder_is_closed(workspace: Path) -> None:
    private = Private(workspace)
    private.folder.mkdir(parents=True)
    private.folder.chmod(0o755)
    private.make()
    assert stat.S_IMODE(private.folder.stat().st_mode) == 0o700


def test_a_private_folder_in_the_workspace_is_refused(workspace: Path) -> None:
    with pytest.raises(UsageError, match="copied and shared"):
        Private(workspace, workspace / "studio").make()
    (workspace.parent / "link").symlink_to(workspace)
    with pytest.raises(UsageError, match="copied and shared"):
        Private(workspace, workspace.parent / "link" / "studio").make()


def test_each_workspace_has_its_own_folder_by_whatever_path_it_is_named(workspace: Path) -> None:
    (workspace.parent / "link").symlink_to(workspace)
    assert Private(workspace.parent / "link").folder == Private(workspace).folder
    other = workspace.parent / "elsewhere" / workspace.name
    assert Private(other).folder != Private(workspace).folder


def test_the_first_user_is_made_once_and_at_random(workspace: Path, tmp_path: Path) -> None:
    private = Private(workspace)
    private.make()
    admin, is_new = private.admin()
    assert (admin.email, is_new) == (DEFAULT_EMAIL, True)
    assert len(admin.password) == 20
    assert len(admin.token) == 40
    assert private.admin() == (admin, False)
    other = Private(tmp_path / "other")
    other.make()
    assert other.admin()[0].token != admin.token


def test_the_first_user_can_be_chosen_but_not_changed(workspace: Path) -> None:
    private = Private(workspace)
    private.make()
    admin, _ = private.admin("ada@example.org", "long enough")
    assert (admin.email, admin.password) == ("ada@example.org", "long enough")
    assert private.admin("ada@example.org") == (admin, False)
    with pytest.raises(UsageError, match="has its first user already"):
        private.admin("bob@example.org")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"email": 1}'])
def test_damaged_secrets_say_what_that_means(workspace: Path, text: str) -> None:
    private = Private(workspace)
    private.make()
    private.admin_path.write_text(text)
    with pytest.raises(UsageError, match="nobody knows the token: move"):
        private.admin()
    assert private.token() == ""


def test_a_second_server_is_told_where_the_first_runs(workspace: Path) -> None:
    private = Private(workspace)
    private.make()
    with private.lock():
        with pytest.raises(UsageError, match="is starting already"), Private(workspace).lock():
            pass
        with (
            private.told(address()),
            pytest.raises(UsageError, match=r"runs already at http://studio\.lan:8080"),
            Private(workspace).lock(),
        ):
            pass
    with Private(workspace).lock():
        pass


def test_a_server_whose_parent_is_gone_is_told_how_to_end(workspace: Path) -> None:
    private = Private(workspace)
    private.make()
    gone = Address("http://127.0.0.1:8080", "http://studio.lan:8080", "", 2**22 + 1, os.getpgid(0))
    with (
        private.lock(),
        private.told(gone),
        pytest.raises(UsageError, match=rf"stop it with `kill -- -{os.getpgid(0)}`"),
        Private(workspace).lock(),
    ):
        pass
