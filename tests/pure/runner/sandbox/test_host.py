"""What is said where the wall can't stand: whose it is, and what to change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from funai.runner.sandbox.host import failed, programs, why_not

FOUND = {
    "podman": "/usr/bin/podman",
    "bwrap": "/usr/bin/bwrap",
    "ip": "/sbin/ip",
    "iptables-restore": "/sbin/x",
    "runc": "/sbin/runc",
}


def finding(**found: str) -> Callable[[str], str | None]:
    return found.get


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


async def test_why_not_of_an_ordinary_user_says_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said = await why_not(finding(**FOUND))
    assert said and "run it as root" in said.en and "root" in said.zh


@pytest.mark.usefixtures("root")
async def test_why_not_without_programs_names_their_packages() -> None:
    said = await why_not(finding(podman="/usr/bin/podman"))
    assert said and "apt-get install bubblewrap iproute2 iptables runc" in said.en


@pytest.mark.usefixtures("root")
async def test_why_not_without_user_namespaces_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "max_user_namespaces").write_text("0\n")
    said = await why_not(finding(**FOUND), tmp_path)
    assert said and "user.max_user_namespaces" in said.en and "user.max_user_namespaces" in said.zh


def test_programs_takes_either_runtime() -> None:
    with_crun = {**{name: path for name, path in FOUND.items() if name != "runc"}, "crun": "/usr/bin/crun"}
    have, missing = programs(finding(**with_crun))
    assert have and have.runtime == "crun" and missing == []


def test_failed_names_apparmor_only_where_it_restricts() -> None:
    said = "mount: /tmp/m: permission denied."
    plain, confined = failed(said, apparmor=False), failed(said, apparmor=True)
    for words in (plain, confined):
        assert said in words.en and said in words.zh
    assert "AppArmor" not in plain.en + plain.zh
    for word in ("kernel.apparmor_restrict_unprivileged_userns", "aa-status"):
        assert word in confined.en and word in confined.zh
