"""What a user may ask of a deploy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from funai.api.deploys.policy import Defaults, fill, image_allowed
from funai.contracts.accounts import CreateDeploy
from funai.contracts.errors import BadInput, Forbidden, FunaiError

DEFAULTS = Defaults(
    ssh_host="git.test",
    ssh_port=2222,
    repo_owner="funai",
    repo_template="u{userId}-app{appId}",
    git_ref="main",
    registry="reg.test:5000",
    namespace="funaistudio",
    image_namespaces=("docker.io/library", "reg.test:5000/open", "quay.io"),
)
OWN = "reg.test:5000/funaistudio/u1-app2"


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        (OWN, True),
        (f"{OWN}:latest", True),
        (f"{OWN}@sha256:{'a' * 64}", True),
        ("reg.test:5000/funaistudio/u1-app20", False),
        ("reg.test:5000/funaistudio/u1-app2/x", False),
        ("reg.test:5000/funaistudio/u2-app3", False),
        ("reg.test/funaistudio/u1-app2", False),
        ("node:20", True),
        ("docker.io/node", True),
        ("index.docker.io/library/node", True),
        ("library/node", True),
        ("somebody/node", False),
        ("docker.io/libraryx/node", False),
        ("reg.test:5000/open/web:1", True),
        ("reg.test:5000/opener/web:1", False),
        ("quay.io/any/thing", True),
        ("quay.io.evil.test/any/thing", False),
        ("evil.test/docker.io/library/node", False),
    ],
)
def test_images_come_from_the_apps_own_repository_or_an_open_namespace(image: str, allowed: bool) -> None:
    assert image_allowed(image, 1, 2, DEFAULTS) is allowed


def test_another_apps_repository_stays_shut_in_an_open_namespace() -> None:
    opened = replace(DEFAULTS, image_namespaces=("reg.test:5000/funaistudio", "reg.test:5000"))
    assert image_allowed("reg.test:5000/funaistudio/base:1", 1, 2, opened)
    assert not image_allowed("reg.test:5000/funaistudio/u2-app3", 1, 2, opened)
    assert not image_allowed("reg.test:5000/funaistudio/u2-app3/x", 1, 2, opened)


def test_by_default_nothing_but_ones_own() -> None:
    shut = replace(DEFAULTS, image_namespaces=())
    assert image_allowed(OWN, 1, 2, shut)
    assert not image_allowed("node:20", 1, 2, shut)


def test_without_a_registry_there_is_no_own_repository() -> None:
    bare = replace(DEFAULTS, registry=None)
    assert not image_allowed(OWN, 1, 2, bare)
    payload = fill(CreateDeploy(), 1, 2, "shop", bare).to_wire()
    assert "acrRegistry" not in payload
    assert "acrNamespace" not in payload


def test_own_repository_and_registry_may_be_named() -> None:
    named = CreateDeploy(
        repo_ssh_url="ssh://git@git.test:2222/funai/u1-app2.git", acr_registry="reg.test:5000", acr_namespace="funaistudio"
    )
    assert fill(named, 1, 2, "shop", DEFAULTS).repo_ssh_url == named.repo_ssh_url


def test_other_repositories_only_below_what_the_operator_opened() -> None:
    opened = replace(DEFAULTS, repo_prefixes=("ssh://git@forge.test:22/team/",))
    assert fill(CreateDeploy(repo_ssh_url="ssh://git@forge.test:22/team/x.git"), 1, 2, "shop", opened)
    for url in (
        "ssh://git@forge.test:22/other/x.git",
        "ssh://git@git.test:2222/funai/u1-app3.git",
        "ssh://git@forge.test:22/team/../x",
    ):
        with pytest.raises((Forbidden, BadInput)):
            fill(CreateDeploy(repo_ssh_url=url), 1, 2, "shop", opened)


def test_a_base_path_of_ones_own() -> None:
    assert fill(CreateDeploy(base_path="/runtime/2"), 1, 2, "shop", DEFAULTS).base_path == "/runtime/2"


@pytest.mark.parametrize(
    "path", ["/runtime/2/admin", "/runtime/20", "/runtime/3", "/runtime", "/", "/runtime/2/../3", "runtime/2", "/runtime/2`x"]
)
def test_a_base_path_of_somebody_elses(path: str) -> None:
    with pytest.raises(FunaiError):
        fill(CreateDeploy(base_path=path), 1, 2, "shop", DEFAULTS)


def test_without_git_an_image_is_needed() -> None:
    gitless = replace(DEFAULTS, ssh_host=None)
    with pytest.raises(BadInput) as refused:
        fill(CreateDeploy(), 1, 2, "shop", gitless)
    assert refused.value.reason == "SOURCE_MISSING"
    payload = fill(CreateDeploy(image="node:20", container_port=80), 1, 2, "shop", gitless).to_wire()
    assert (payload["image"], payload["containerPort"]) == ("node:20", 80)
    assert "repoSshUrl" not in payload


def test_empty_fields_are_as_good_as_none() -> None:
    empty = CreateDeploy(image="", git_ref="", base_path="", image_tag="", dockerfile_path="", build_context="", health_path="")
    assert fill(empty, 1, 2, "shop", DEFAULTS) == fill(CreateDeploy(), 1, 2, "shop", DEFAULTS)
