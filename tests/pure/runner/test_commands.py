"""git's and the engine's command lines as values."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from funai.runner.commands.engine import BuildRequest, Engine
from funai.runner.commands.git import Git, candidates, environment, ssh_config

GIT = Git(Path("/w/m.git"), {"A": "1"}, 1000)
REQUEST = BuildRequest(
    Path("/j/src"),
    "r/n/u1-app1:latest",
    Path("/j/iid"),
    Path("/j/tmp"),
    Path("/j/Dockerfile"),
    None,
    {"l": "v"},
    {"NPM_REGISTRY": "https://n"},
    "",
    Path("/ca.pem"),
    1000,
    1.5,
    2000,
    64,
    "/p/job/run",
)


def test_a_fetch_cannot_read_the_address_as_an_option_and_is_bounded() -> None:
    argv = GIT.fetch("ssh://git@h/x.git").argv
    assert argv[:2] == ("prlimit", "--fsize=1000")
    assert argv[argv.index("--") + 1 :] == ("ssh://git@h/x.git", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    assert "core.hooksPath=/dev/null" in argv and "--no-recurse-submodules" in argv


def test_a_ref_is_asked_for_as_branch_tag_and_only_then_as_commit() -> None:
    assert candidates("main") == ["refs/heads/main^{commit}", "refs/tags/main^{commit}"]
    assert candidates("abc1234") == ["refs/heads/abc1234^{commit}", "refs/tags/abc1234^{commit}", "abc1234^{commit}"]
    assert candidates("refs/heads/x") == ["refs/heads/x^{commit}"]
    assert "abc^{commit}" not in candidates("abc")


def test_ssh_takes_one_key_one_known_hosts_and_asks_nothing() -> None:
    text = ssh_config(Path("/k y"), Path("/known"), Path("/c"))
    for line in (
        "StrictHostKeyChecking yes",
        'UserKnownHostsFile "/known"',
        'IdentityFile "/k y"',
        "BatchMode yes",
        "ForwardAgent no",
    ):
        assert f"  {line}\n" in text
    assert 'UserKnownHostsFile "/dev/null"' in ssh_config(None, None, Path("/c"))


def test_nothing_but_the_operators_path_stands_in_the_ssh_command() -> None:
    env = environment(Path("/home"), Path("/a b/ssh_config"))
    assert env["GIT_SSH_COMMAND"] == "ssh -F '/a b/ssh_config'"
    assert env["GIT_ALLOW_PROTOCOL"] == "ssh" and env["GIT_CONFIG_GLOBAL"] == "/dev/null"


def test_a_checkout_uses_an_index_of_its_own() -> None:
    command = GIT.checkout("f" * 40, Path("/j/src"), Path("/j/index"))
    assert command.env == {"A": "1", "GIT_INDEX_FILE": "/j/index"} and command.cwd == Path("/j/src")
    assert command.argv[-1] == "f" * 40


def test_podman_builds_in_the_jobs_group_with_the_authorities_mounted() -> None:
    command = Engine("podman", Path("/auth")).build(REQUEST)
    argv = command.argv
    pairs = set(pairwise(argv))
    assert argv[:2] == ("podman", "build") and argv[-1] == "/j/src"
    assert {
        ("--cgroup-parent", "/p/job/run"),
        ("--volume", "/ca.pem:/dev/funai-ca.pem:ro"),
        ("--build-arg", "NPM_REGISTRY=https://n"),
        ("--ulimit", "fsize=2000:2000"),
        ("--label", "l=v"),
        ("--tag", "r/n/u1-app1:latest"),
    } <= pairs
    assert not {"--privileged", "--network", "--memory", "--secret"} & set(argv)
    assert (
        command.env is not None
        and command.env["REGISTRY_AUTH_FILE"] == "/auth/none/config.json"
        and command.env["TMPDIR"] == "/j/tmp"
    )


def test_an_image_that_needs_nothing_of_dockers_bears_its_labels_as_annotations() -> None:
    request = replace(REQUEST, docker_format=False)
    pairs = set(pairwise(Engine("podman", Path("/auth")).build(request).argv))
    assert {("--format", "oci"), ("--annotation", "l=v")} <= pairs and ("--label", "l=v") not in pairs
    assert ("--label", "l=v") in set(pairwise(Engine("docker", Path("/auth")).build(request).argv))


def test_without_a_group_the_engine_limits_and_the_build_is_niced() -> None:
    argv = Engine("podman", Path("/auth")).build(replace(REQUEST, cgroup="")).argv
    assert argv[:3] == ("nice", "-n", "10") and ("--memory", "1000") in set(pairwise(argv))
    assert ("--cpu-quota", "150000") in set(pairwise(argv))


def test_only_the_apps_own_image_is_pulled_with_the_login() -> None:
    engine = Engine("podman", Path("/auth"), frozenset({"r:5000"}))
    own, other = engine.pull("r:5000/n/u1-app1", login=True), engine.pull("node:20", login=False)
    assert own.argv == ("podman", "pull", "--tls-verify=false", "r:5000/n/u1-app1") and other.argv == (
        "podman",
        "pull",
        "node:20",
    )
    assert own.env is not None and own.env["REGISTRY_AUTH_FILE"] == "/auth/config.json"
    assert other.env is not None and other.env["REGISTRY_AUTH_FILE"] == "/auth/none/config.json"


@pytest.mark.parametrize("binary", ["podman", "docker"])
def test_a_build_without_caches_says_so_to_either_engine(binary: str) -> None:
    engine = Engine(binary, Path("/auth"))
    assert "--no-cache" in engine.build(replace(REQUEST, use_cache=False)).argv
    assert "--no-cache" not in engine.build(REQUEST).argv


def test_docker_gets_only_what_its_classic_builder_knows() -> None:
    engine = Engine("/usr/bin/docker", Path("/auth"))
    command = engine.build(REQUEST)
    assert "--volume" not in command.argv and "--isolation" not in command.argv and "--pull" not in command.argv
    assert command.env is not None and command.env["DOCKER_CONFIG"] == "/auth/none" and command.env["DOCKER_BUILDKIT"] == "0"
    assert engine.push("a", "r/b:1", Path("/d"), Path("/t")).argv == ("/usr/bin/docker", "push", "--quiet", "r/b:1")


def test_a_push_names_the_login_file_and_plain_http_only_where_told() -> None:
    engine = Engine("podman", Path("/auth"), frozenset({"127.0.0.1:5000"}))
    plain = engine.push("local", "127.0.0.1:5000/x:1", Path("/d"), Path("/t")).argv
    tls = engine.push("local", "r.io/x:1", Path("/d"), Path("/t")).argv
    assert "--tls-verify=false" in plain and "--tls-verify=false" not in tls
    assert tls[-2:] == ("local", "docker://r.io/x:1") and "/auth/config.json" in tls
