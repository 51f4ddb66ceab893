"""The files an app gets instead of those that its engine would keep in the host's /run."""

from __future__ import annotations

from pathlib import Path

import pytest

from funai.agent.engine.contract import ContainerSpec, EngineRefused
from funai.agent.engine.docker_api import OWN_FILES, creation
from funai.agent.network.hostfiles import HostFiles, Resolvers, hosts, resolv_conf, resolvers
from funai.agent.network.networks import Place

PLACE = Place("rt-net-7", "10.208.0.5", "10.208.0.1")
HOST = Resolvers(("192.0.2.53", "192.0.2.54", "192.0.2.55"), ("options edns0",))


def nameservers(text: str) -> list[str]:
    return [line.split()[1] for line in text.splitlines() if line.startswith("nameserver")]


def test_resolvers_of_the_host_are_those_that_an_app_can_reach() -> None:
    text = "# made by hand\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.53\nnameserver\noptions edns0\n"
    assert resolvers(text) == Resolvers(("192.0.2.53",), ("options edns0",))


@pytest.mark.parametrize(
    ("host", "answers", "expected"),
    [
        (HOST, True, ["10.208.0.1", "192.0.2.53", "192.0.2.54"]),
        (HOST, False, ["192.0.2.53", "192.0.2.54", "192.0.2.55"]),
        (Resolvers(), False, ["10.208.0.1"]),
    ],
)
def test_resolv_conf_asks_the_bridge_first_unless_it_is_silent(host: Resolvers, answers: bool, expected: list[str]) -> None:
    assert nameservers(resolv_conf("10.208.0.1", host, bridge_answers=answers)) == expected


def test_hosts_names_the_container_only_where_its_address_is_known() -> None:
    assert "10.208.0.5\tapp-7" in hosts("app-7", "10.208.0.5", "10.208.0.1")
    assert "app-7" not in hosts("app-7", "", "10.208.0.1")


def test_every_file_is_readable_to_any_user_of_the_app(tmp_path: Path) -> None:
    files = HostFiles(tmp_path).of(7, PLACE)
    assert set(files) == {*OWN_FILES, "/run/.containerenv"}
    assert {Path(file).stat().st_mode & 0o777 for file in files.values()} == {0o644}


def test_another_resolver_reaches_the_file_that_running_containers_have(tmp_path: Path) -> None:
    given = HostFiles(tmp_path)
    file = Path(given.of(7, PLACE)["/etc/resolv.conf"])
    before = (file.stat().st_ino, nameservers(file.read_text()))
    if given.ask_hosts_servers(True):
        assert "10.208.0.1" not in nameservers(file.read_text())
    given.ask_hosts_servers(False)
    assert (file.stat().st_ino, nameservers(file.read_text())) == before
    given.forget(7)
    assert not file.exists()


def test_without_a_folder_the_engine_keeps_its_own() -> None:
    given = HostFiles(None)
    assert given.of(7, PLACE) == {}
    assert not given.ask_hosts_servers(True)
    given.forget(7)


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, and no folder")
    with pytest.raises(EngineRefused, match="RUNTIME_STATE_DIR"):
        HostFiles(tmp_path / "state").of(7, PLACE)


@pytest.mark.parametrize("podman", [True, False])
def test_creation_leaves_none_of_the_engines_own_files_writable(tmp_path: Path, podman: bool) -> None:
    files = HostFiles(tmp_path if podman else None).of(7, PLACE)
    spec = ContainerSpec("a", "image", 3000, {}, "rt-net-7", "10.208.0.5", hostname="app-7", files=files)
    body = creation(spec, podman=podman, init=True)
    host, bound = body["HostConfig"], {entry.split(":")[1] for entry in body["HostConfig"].get("Binds", [])}
    assert all(entry.endswith(":ro,z") for entry in host.get("Binds", []))
    assert set(OWN_FILES) <= bound | set(host.get("ReadonlyPaths", []))
    assert body["Hostname"] == "app-7"
