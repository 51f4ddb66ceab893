"""Ports are told apart from our own, secrets are made once and kept private."""

from __future__ import annotations

import json
import os
import pwd
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from funai.base.process import ports
from funai.cli.main import add_standalone, build
from funai.contracts.errors import ConfigError
from funai.standalone.layout import DataDirLock, Layout, ensure_key, load_secrets
from funai.standalone.options import Ports, UpOptions, check_options, check_ports, default_data_dir
from funai.standalone.parts import registry
from funai.standalone.services import instance


def test_a_taken_port_names_its_holder_and_the_option(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        taken = sock.getsockname()[1]
        options = UpOptions(data_dir=tmp_path, ports=Ports(**{**dict(Ports.free().items()), "gateway": taken}))
        with pytest.raises(ConfigError) as e:
            check_ports(options, set())
        assert len(e.value.problems) == 1
        assert f"--gateway-port {taken}: taken by " in e.value.problems[0]
        assert f"(pid {os.getpid()})" in e.value.problems[0]
        check_ports(options, {os.getpid()})


def test_two_services_cannot_share_a_port(tmp_path: Path) -> None:
    port = ports.free_port()
    options = UpOptions(data_dir=tmp_path, ports=Ports(**{**dict(Ports.free().items()), "api": port, "git": port}))
    with pytest.raises(ConfigError, match="the same port"):
        check_ports(options, set())


def test_what_can_t_be_used_is_told_by_its_option_before_anything_is_made() -> None:
    good = UpOptions(data_dir=Path("/var/lib/funai"))
    check_options(good)
    check_options(replace(good, host="::1", name="deploy.example.com"))
    bad = replace(good, data_dir=Path("/home/张三/my data"), host="localhost", name="http://x:1")
    with pytest.raises(ConfigError) as e:
        check_options(bad)
    assert [p.partition(" ")[0] for p in e.value.problems] == ["--data-dir", "--host", "--public-host"]
    with pytest.raises(ConfigError, match="longer than"):
        check_options(replace(good, data_dir=Path("/" + "x" * 80)))
    with pytest.raises(ConfigError, match=r"--host 192\.0\.2\.1: .*assign"):
        check_options(replace(good, host="192.0.2.1"))


def test_people_are_given_the_public_name_and_this_machine_asks_itself() -> None:
    everywhere = UpOptions(host="0.0.0.0", name="deploy.example.com")
    assert everywhere.gateway_url == "http://deploy.example.com:8000"
    assert everywhere.public_api_url == "http://deploy.example.com:8080"
    assert everywhere.api_url == "http://127.0.0.1:8080"
    assert UpOptions(host="::1").gateway_url == "http://[::1]:8000"
    assert UpOptions(host="0.0.0.0").public_host == "127.0.0.1"


def test_apps_have_names_of_their_own_where_visitors_can_resolve_them() -> None:
    assert UpOptions().apps_url == "http://{app}.apps.localhost:8000/"
    assert UpOptions(apps_domain="").apps_url == "http://127.0.0.1:8000/runtime/{app}/"
    assert UpOptions(name="192.0.2.1").apps_url == "http://192.0.2.1:8000/runtime/{app}/"
    assert UpOptions(name="gw.example.com", apps_domain="a.example.com").apps_url == "http://{app}.a.example.com:8000/"
    with pytest.raises(ConfigError, match="--apps-domain x_y"):
        check_options(UpOptions(data_dir=Path("/var/lib/funai"), apps_domain="x_y"))


@pytest.mark.parametrize(("words", "told"), [(["--api-port", "70000"], "65535"), (["--data-dir", "/dev/null"], "/dev/null: ")])
def test_up_refuses_without_a_traceback(words: list[str], told: str) -> None:
    app = build()
    add_standalone(app)
    done = CliRunner().invoke(app, ["up", *words])
    assert (done.exit_code, isinstance(done.exception, SystemExit)) == (2, True)
    assert told in done.stderr


def test_only_the_accounts_own_default_folder_has_the_plain_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = default_data_dir({"HOME": pwd.getpwuid(os.getuid()).pw_dir})
    assert instance(UpOptions(data_dir=own)) == ""
    for variable in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
        assert instance(UpOptions()) not in ("", instance(UpOptions(data_dir=own / "other")))
    again = UpOptions(data_dir=own / ".." / own.name).with_absolute_dir()
    assert instance(again) == ""


def test_secrets_are_made_once_private_and_completed(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    first, made = load_secrets(file)
    again, made_again = load_secrets(file)
    assert (made, made_again) == (True, False)
    assert first == again
    assert file.stat().st_mode & 0o777 == 0o600
    older = json.loads(file.read_text())
    del older["probe"]
    file.write_text(json.dumps(older))
    completed, _ = load_secrets(file)
    assert completed.jwt == first.jwt
    assert json.loads(file.read_text())["probe"] == completed.probe.get_secret_value()


def test_broken_secrets_are_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text("{")
    with pytest.raises(ConfigError, match="restore it from a backup"):
        load_secrets(file)
    assert file.read_text() == "{"


def test_an_open_data_dir_is_closed_with_what_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir(mode=0o755)
    Layout(folder).make()
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("api.db", "deploy.db", "api.db-wal"):
        (folder / name).touch()
        (folder / name).chmod(0o644)
    (folder / "secrets.json").touch()
    for path in (folder, folder / "keys"):
        path.chmod(0o755)
    Layout(folder).make()
    modes = {p.name: p.stat().st_mode & 0o777 for p in [folder, folder / "keys", *folder.glob("*.db*")]}
    assert modes == {"d": 0o700, "keys": 0o700, "api.db": 0o600, "deploy.db": 0o600, "api.db-wal": 0o600}


def test_a_folder_of_other_things_keeps_its_mode_and_shows_nothing_of_ours(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir(mode=0o755)
    (folder / "somebody's").touch()
    Layout(folder).make()
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {p.stat().st_mode & 0o077 for p in folder.iterdir() if p.name != "somebody's"} == {0}


def test_one_platform_a_data_dir(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "d")
    layout.make()
    with DataDirLock(layout), pytest.raises(ConfigError, match=f"pid {os.getpid()}"), DataDirLock(layout):
        pass
    with DataDirLock(layout):
        pass


def test_a_key_is_made_once(tmp_path: Path) -> None:
    public = ensure_key(tmp_path / "k", "x")
    assert public.startswith("ssh-ed25519 ")
    assert ensure_key(tmp_path / "k", "x") == public
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600


def test_the_machines_own_registries_are_kept(tmp_path: Path) -> None:
    own = tmp_path / "registries.conf"
    own.write_text('unqualified-search-registries = ["quay.io"]\n')
    text = registry.registries_conf(own, 5000)
    assert 'unqualified-search-registries = ["quay.io"]' in text
    assert 'location = "127.0.0.1:5000"' in text
    assert "docker.io" in registry.registries_conf(tmp_path / "none", 5000)
