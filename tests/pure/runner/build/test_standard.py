"""The standard image among a commit's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from funai.contracts.reasons import FailureCode
from funai.dockerfile.node.plan import Plan
from funai.runner.build.standard import plan_standard, read_project, write_standard
from funai.runner.failures import JobFailed

STATIC = '{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}'


@pytest.fixture
def src(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "package.json").write_text(STATIC)
    return folder


def plan_of(src: Path) -> Plan:
    return plan_standard(read_project(src), port=3000, available=(20,))


def write(src: Path, *, ca: Path | None = None) -> str:
    return write_standard(
        plan_of(src), src, ca_to_copy=ca, variables={"VITE_A": "it's"}, address={}, tools={"NPM_REGISTRY": "https://n"}
    ).text


def test_write_standard_keeps_the_dockerfile_out_of_the_source(src: Path) -> None:
    text = write(src)
    assert not (src / "Dockerfile").exists()
    assert (src / ".funai-vars").read_text() == "export VITE_A='it'\"'\"'s'\n" and "VITE_A" not in text
    assert "http" in (src / "funai-static.mjs").read_text()
    assert "export NPM_REGISTRY=https://n\n" in (src / ".funai-tools").read_text() and "https://n" not in text
    ignored = (src / ".dockerignore").read_text()
    assert "node_modules\n" in ignored and "!.env.production\n" in ignored


def test_write_standard_takes_back_what_the_repository_leaves_out(src: Path) -> None:
    (src / ".dockerignore").write_text("*\n!src")
    write(src)
    assert (src / ".dockerignore").read_text() == "*\n!src\n!funai-static.mjs\n!.funai-vars\n!.funai-address\n!.funai-tools\n"


def test_write_standard_never_writes_through_a_link(src: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    (src / "funai-static.mjs").symlink_to(outside)
    write(src)
    assert outside.read_text() == "untouched" and not (src / "funai-static.mjs").is_symlink()


def test_write_standard_copies_an_authority_for_the_first_stages(src: Path) -> None:
    (src.parent / "ca.pem").write_text("PEM")
    assert "COPY .funai-ca.pem" in write(src, ca=src.parent / "ca.pem") and (src / ".funai-ca.pem").read_text() == "PEM"
    with pytest.raises(JobFailed) as caught:
        write(src, ca=src.parent / "ca.pem")
    assert ".funai-ca.pem" in caught.value.error_message()


@pytest.mark.parametrize("text", ["{", "[]", '{"scripts": {}}', '{"x": "' + "x" * (2 * 1024 * 1024) + '"}'])
def test_a_package_that_cannot_be_used_is_named(src: Path, text: str) -> None:
    (src / "package.json").write_text(text)
    with pytest.raises(JobFailed) as caught:
        plan_of(src)
    assert caught.value.code is FailureCode.CONTRACT_INVALID and "package.json" in caught.value.error_message()


def test_read_project_refuses_a_link_out_of_the_repository(src: Path) -> None:
    (src / ".npmrc").symlink_to("/etc/passwd")
    with pytest.raises(JobFailed):
        read_project(src)
