"""What is missing, and the exact command."""

from __future__ import annotations

import pytest

from funai.standalone.parts import packages
from funai.standalone.parts.packages import Need, NotInstalled, install, install_command, missing


def test_a_need_is_met_by_any_of_its_programs_or_files() -> None:
    assert Need("x", ("no-such-program", "sh")).met()
    assert Need("x", patterns=("/no/such", "/et*/passwd")).met()
    assert not Need("x", ("no-such-program",), ("/no/such/*",)).met()


def test_missing_names_packages_in_order() -> None:
    assert missing([Need("b", ("no-such-b",)), Need("s", ("sh",)), Need("a", ("no-such-a",))]) == ["b", "a"]


def test_the_command_brings_no_recommended_packages() -> None:
    assert install_command(["git"]) == ["apt-get", "install", "--yes", "--no-install-recommends", "git"]


def test_without_root_or_sudo_the_exact_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(packages, "find_program", lambda name: None if name == "sudo" else f"/usr/bin/{name}")
    with pytest.raises(NotInstalled, match="sudo apt-get install --yes --no-install-recommends podman git"):
        install(["podman", "git"], lambda *_: False, interactive=False)


def test_without_apt_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_program", lambda name: None)
    with pytest.raises(NotInstalled, match="podman git"):
        install(["podman", "git"], lambda *_: False, interactive=False)


def test_tests_need_more_than_the_platform() -> None:
    platform, everything = packages.needs(tests=False), packages.needs(tests=True)
    assert set(platform) < set(everything)
    assert {"docker.io", "postgresql", "mariadb-server"} <= {need.package for need in everything}
    assert not {"docker.io", "postgresql", "mariadb-server"} & {need.package for need in platform}
