from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

from tests.service.api.platform import PASSWORD
from tests.service.cli.world import World

KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + os.urandom(32)).decode()


def test_register_logs_in_and_logout_forgets(world: World) -> None:
    assert world.funai("whoami").code == 3
    said = world.register(world.user)
    assert said.out == f"registered {world.user}\nlogged in to {world.url} as {world.user}\n"
    config = world.folder / "home/.config/funai/config.toml"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert world.ok("whoami", "--json").document["userName"] == world.user
    assert world.ok("logout").out == f"logged out of {world.url}\n"
    refused = world.funai("whoami", "--json")
    assert refused.code == 3
    assert refused.error["reason"] == "UNAUTHENTICATED"
    assert refused.error["hint"] == "run: funai login"
    assert world.ok("logout", "--json").document["loggedOut"] is False


def test_login_remembers_the_server(world: World) -> None:
    world.register(world.user)
    world.ok("logout")
    said = world.ok(
        "login", "--server", world.url, "-u", world.user, "--password-stdin", "--json", input=PASSWORD, FUNAI_SERVER=""
    )
    assert said.document["userName"] == world.user
    assert PASSWORD not in said.out
    assert world.ok("whoami", FUNAI_SERVER="").out.startswith("user")


def test_a_wrong_password_is_not_remembered(world: World) -> None:
    said = world.funai("login", "-u", "nobody", "--password-stdin", input="wrong-password\n")
    assert said.code == 3
    assert said.err == (
        "error: wrong user name or password\nnext: check the name and the password; without an account run: funai register\n"
    )
    assert not (world.folder / "home/.config/funai").exists()


def test_without_a_terminal_nothing_is_asked(world: World) -> None:
    for verb in ("login", "register"):
        said = world.funai(verb)
        assert said.code == 2
        assert "--user" in said.err.splitlines()[0]
        assert f"funai {verb} --user NAME --password-stdin" in said.err
    assert "--password-stdin" in world.funai("login", "-u", "ann").err
    assert world.funai("login", "-u", "ann", "--password-stdin", input="").code == 2


def test_an_api_key_needs_no_login(ann: World) -> None:
    key = ann.ok("api-key", "--json").document["apiKey"]
    ann.ok("logout")
    assert ann.ok("whoami", "--json", FUNAI_API_KEY=key).document["userName"] == ann.user
    assert ann.ok("apps", "list", "--json", FUNAI_API_KEY=key).document == []
    assert ann.funai("whoami", FUNAI_API_KEY="wrong").code == 3


def test_a_new_password_keeps_this_login_and_ends_the_old_one(ann: World) -> None:
    assert ann.funai("password", "--password-stdin", input="only one line\n").code == 2
    assert ann.funai("password", "--password-stdin", input="wrong one\nnew password\n").code == 3
    ann.ok("password", "--password-stdin", input=f"{PASSWORD}\nnew password\n")
    ann.ok("whoami")
    assert ann.funai("login", "-u", ann.user, "--password-stdin", input=PASSWORD).code == 3
    ann.ok("login", "-u", ann.user, "--password-stdin", input="new password")


def test_the_language_follows_the_person(world: World) -> None:
    assert world.funai("whoami", FUNAI_LANG="zh").err == "错误: 请先登录\n下一步: 运行 funai login 登录\n"


def test_keys_are_found_added_listed_and_removed(ann: World) -> None:
    assert ann.ok("keys", "list").out == "no SSH keys yet: funai keys add\n"
    missing = ann.funai("keys", "add")
    assert missing.code == 2
    assert "ssh-keygen -t ed25519" in missing.err
    folder = ann.folder / "home/.ssh"
    folder.mkdir()
    (folder / "id_ed25519.pub").write_text(f"{KEY} ann@laptop\n")
    assert "added key ann@laptop (SHA256:" in ann.ok("keys", "add").out
    [key] = ann.ok("keys", "list", "--json").document
    assert ann.funai("keys", "add").code == 4
    assert "is registered" in ann.funai("doctor").out
    ann.ok("keys", "remove", key["id"])
    assert ann.funai("keys", "remove", key["id"]).code == 5
    assert "is not registered" in ann.funai("doctor").out


def test_a_private_key_never_leaves(ann: World, tmp_path: Path) -> None:
    private = tmp_path / "id_ed25519"
    private.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n")
    said = ann.funai("keys", "add", private)
    assert said.code == 2
    assert f"give {private}.pub" in said.err
    assert ann.funai("keys", "add", "-", input="nonsense").code == 2


def test_nobody_there(world: World) -> None:
    said = world.funai("whoami", "--json", FUNAI_SERVER="http://127.0.0.1:9")
    assert said.code == 6
    assert said.error["reason"] == "UNREACHABLE"
    assert "http://127.0.0.1:9" in said.error["hint"]


def test_doctor_goes_from_here_to_the_platform(ann: World) -> None:
    said = ann.ok("doctor", "--json")
    checks = {c["name"]: c["level"] for c in said.document["checks"]}
    assert checks["config"] == checks["server"] == checks["login"] == "ok"
    away = ann.funai("doctor", FUNAI_SERVER="http://127.0.0.1:9")
    assert away.code == 1
    assert "✗ server" in away.out
