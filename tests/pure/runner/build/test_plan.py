"""The build contract applied to files."""

from __future__ import annotations

from pathlib import Path

import pytest

from funai.contracts.jobs import Payload
from funai.contracts.reasons import FailureCode
from funai.dockerfile.stages import read_plan
from funai.runner.build.plan import Recipe, app_spec, check_mounts, inputs_hash, read_recipe
from funai.runner.failures import JobFailed

PACKAGE = '{"scripts": {"start": "node s.js", "build": "x"}}'


@pytest.fixture
def src(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    return folder


def refused(payload: Payload, src: Path) -> JobFailed:
    with pytest.raises(JobFailed) as caught:
        read_recipe(payload, src)
    return caught.value


def own(payload: Payload, src: Path) -> Recipe:
    found = read_recipe(payload, src)
    assert isinstance(found, Recipe)
    return found


def test_the_repositorys_own_dockerfile_wins(src: Path) -> None:
    (src / "Dockerfile").write_text("FROM a\n")
    (src / "package.json").write_text(PACKAGE)
    recipe = own(Payload(), src)
    assert not recipe.generated and recipe.text == "FROM a\n" and recipe.context == src


def test_a_dockerfile_and_a_context_further_down(src: Path) -> None:
    (src / "web" / "docker").mkdir(parents=True)
    (src / "web" / "docker" / "D").write_text("FROM a\n")
    recipe = own(Payload(dockerfile_path="web/docker/D", build_context="web"), src)
    assert recipe.text == "FROM a\n" and recipe.context == src / "web"


def test_a_node_project_without_a_dockerfile_is_its_context(src: Path) -> None:
    (src / "package.json").write_text(PACKAGE)
    assert read_recipe(Payload(), src) == src


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore", "package.json"])
def test_a_link_out_of_the_repository_is_refused(src: Path, name: str) -> None:
    (src / "Dockerfile").write_text("FROM a\n")
    if name == "package.json":
        (src / "Dockerfile").unlink()
    (src / name).unlink(missing_ok=True)
    (src / name).symlink_to("/etc/passwd")
    assert refused(Payload(), src).code is FailureCode.CONTRACT_INVALID


def test_links_inside_are_followed_and_loops_are_refused(src: Path) -> None:
    (src / "real").write_text("FROM a\n")
    (src / "Dockerfile").symlink_to("real")
    assert own(Payload(), src).text == "FROM a\n"
    (src / "loop").symlink_to("loop")
    assert refused(Payload(dockerfile_path="loop"), src).code in (FailureCode.CONTRACT_INVALID, FailureCode.DOCKERFILE_MISSING)


def test_what_is_missing_is_named(src: Path) -> None:
    assert "Dockerfile.web" in refused(Payload(dockerfile_path="Dockerfile.web"), src).error_message()
    assert refused(Payload(build_context="nowhere"), src).code is FailureCode.CONTRACT_INVALID


def test_app_yaml_and_the_inputs(src: Path) -> None:
    assert app_spec(None).port is None and app_spec("port: 4000").port == 4000
    with pytest.raises(JobFailed):
        app_spec("port: x")
    one = inputs_hash(Payload(), "")
    assert one == inputs_hash(Payload(dockerfile_path="Dockerfile", build_context="."), "")
    others = [inputs_hash(Payload(), "https://n"), inputs_hash(Payload(build_context="web"), "")]
    others += [inputs_hash(Payload(container_port=8080), ""), inputs_hash(Payload(), "", {"VITE_A": "1"})]
    assert len({one, *others}) == 5


@pytest.mark.parametrize(
    ("mounts", "word"),
    [
        (["source=out,target=/x"], "leads out"),
        (["source=lib/up,target=/x"], "leads out"),
        (["source=lib,target=/x,rw", "source=lib/new,target=/y"], "may write"),
        (["target=/x,rw", "source=lib,target=/y"], "may write"),
        (["source=lib,target=/x,rw", "source=in,target=/y"], "may write"),
    ],
)
def test_a_mount_that_leads_out_of_the_context_is_refused(mounts: list[str], word: str, src: Path) -> None:
    (src / "lib").mkdir()
    (src / "lib" / "f").touch()
    for name, target in {"out": "/", "lib/up": "../..", "in": "lib/f"}.items():
        (src / name).symlink_to(target)
    text = "FROM a\n" + "".join(f"RUN --mount={mount} true\n" for mount in mounts)
    with pytest.raises(JobFailed) as caught:
        check_mounts(read_plan(text), src)
    assert caught.value.code is FailureCode.CONTRACT_INVALID and word in caught.value.error_message()
    for fine in ("source=in,target=/x", "source=lib,target=/x,rw", "target=/x,rw", "source=none/yet,target=/x"):
        check_mounts(read_plan(f"FROM a\nRUN --mount={fine} true\nRUN --mount={fine} true\n"), src)
