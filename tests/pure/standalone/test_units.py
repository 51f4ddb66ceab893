"""The units of ``deploy/systemd``: systemd itself reads them, and says how far the services are shut in.

They are not started here: the tests run where no systemd is the first process. What a started one showed is held below.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from funai.standalone.upkeep.unit import UNIT
from tests.parts.programs import on_path

UNITS = sorted((Path(__file__).parents[3] / "deploy" / "systemd").glob("*.service"))
WITHOUT_ROOT = {"fun-ai-studio-api", "fun-ai-studio-deploy", "fun-ai-studio-git"}
EXPOSED = 4.0
"""Of 10: the most that `systemd-analyze security` may find open in a service that needs no root."""


def copied(folder: Path) -> list[Path]:
    """The units with a program that is there: whether ours is installed is no matter of theirs."""
    for unit in UNITS:
        text, count = re.subn(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
        assert count == 1, unit.name
        (folder / unit.name).write_text(text)
    return sorted(folder.glob("*.service"))


def test_units_are_read_by_systemd_without_a_complaint(tmp_path: Path) -> None:
    analyze = on_path("systemd-analyze")
    units = copied(tmp_path)
    assert len(units) == 6
    done = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    # What it says of units that this machine has beside ours is not about them.
    assert [line for line in done.stderr.splitlines() if "fun-ai-studio" in line] == []


def test_services_that_need_no_root_are_shut_in(tmp_path: Path) -> None:
    analyze = on_path("systemd-analyze")
    for unit in copied(tmp_path):
        if unit.stem not in WITHOUT_ROOT:
            continue
        words = [analyze, "security", "--no-pager", "--offline=true", str(unit)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if "unrecognized option" in done.stderr:
            pytest.skip("this systemd has no --offline (250 and newer have)")
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
        assert found, done.stdout + done.stderr
        assert float(found[1]) <= EXPOSED, unit.name


def test_every_unit_runs_a_service_that_the_command_line_has() -> None:
    for unit in UNITS:
        command = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
        assert re.fullmatch(r"ExecStart=/opt/funai/bin/funai serve (\w+) --config /etc/funai/\1\.properties", command)


def switches(name: str) -> dict[str, str]:
    lines = (UNITS[0].parent / f"fun-ai-studio-{name}.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_units_leave_open_what_a_started_service_needs() -> None:
    """Builds run in a sandbox that sets its host name and makes namespaces; an agent's mounts are seen by its engine."""
    closed = {"ProtectHostname", "RestrictNamespaces", "NoNewPrivileges", "ProtectControlGroups", "PrivateDevices"}
    assert not closed & switches("runner").keys()
    assert not (closed | {"ProtectSystem", "ProtectHome", "PrivateTmp", "ProtectKernelTunables"}) & switches("runtime").keys()
    for name in WITHOUT_ROOT:
        shut = switches(name.removeprefix("fun-ai-studio-"))
        assert (shut["ProtectSystem"], shut["LogsDirectory"]) == ("strict", "funai"), "its logs have a folder that is open"
    for name in ("runtime", "edge"):
        assert switches(name)["KillMode"] == "process", "containers and HAProxy go on when it ends"


def test_units_do_not_start_a_refused_configuration_again() -> None:
    names = [unit.stem.removeprefix("fun-ai-studio-") for unit in UNITS]
    assert {switches(name)["RestartPreventExitStatus"] for name in names} == {"2"}
    assert "RestartPreventExitStatus=2\n" in UNIT


def test_units_of_one_machine_have_folders_of_their_own() -> None:
    """Whoever owned the folder above could put another in the place of one that root reads."""
    folders = [switches(unit.stem.removeprefix("fun-ai-studio-"))["StateDirectory"] for unit in UNITS]
    assert len(set(folders)) == len(UNITS)
    assert all(folder.startswith("funai/") for folder in folders)
