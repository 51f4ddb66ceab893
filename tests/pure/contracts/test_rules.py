"""Strings from outside: what is let in, and what a hostile user tries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funai.contracts import rules
from funai.contracts.errors import BadInput
from funai.contracts.jobs import CreateJob, Payload


@pytest.mark.parametrize(
    "ref",
    [
        "main",
        "feature/x-1",
        "v1.2.3",
        "a" * 40,
        "release_2",
        "user@host",
        "1.x",
        "dep+x",
        "功能/支付",
        "feature/#12",
        "fix(ui)",
        "user's",
        "a,b",
        "ünï",
        "v1%2",
        "a=b",
        "x&y",
        "b" * 224,
        "$(id)",
        "a;b",
        "@/x",
        "é" * 400,
    ],
)
def test_ordinary_refs(ref: str) -> None:
    assert rules.check_git_ref(ref) == ref


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "--upload-pack=x",
        "-b",
        "a..b",
        "a b",
        "a//b",
        ".hidden",
        "a/.b",
        "x.lock",
        "x/",
        "x.",
        "a@{1}",
        "a\nb",
        "a~1",
        "a^",
        "a:b",
        "*",
        "a\\b",
        "/abs",
        "é" * 501,
        "ref\x00",
        "@",
        "a?",
        "a[b",
        "a/-/.b",
        "a\x85",
        "a\u2028b",
        "a\ud800",
        "a\x7f",
        "a/b.lock/c",
        "-",
    ],
)
def test_refs_that_git_would_misread_are_refused(ref: str) -> None:
    with pytest.raises(BadInput, match="gitRef"):
        rules.check_git_ref(ref)


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("Dockerfile", "Dockerfile"),
        ("./a/b", "a/b"),
        ("a//b/", "a/b"),
        (".", "."),
        ("", "."),
        ("应用/Dockerfile", "应用/Dockerfile"),
        ("apps/(web)/[slug]/Dockerfile", "apps/(web)/[slug]/Dockerfile"),
        ("a b/@x/#1'&=", "a b/@x/#1'&="),
    ],
)
def test_inner_paths_are_cleaned(path: str, clean: str) -> None:
    assert rules.check_inner_path(path, "dockerfilePath") == clean


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/../b",
        "-f",
        "a/-b",
        "a\0b",
        "a\nb",
        "x" * 301,
        "a:b",
        "a\\b",
        "a/../../b",
        "a\x9b",
        "a\ud800",
    ],
)
def test_paths_cannot_leave_the_repository(path: str) -> None:
    with pytest.raises(BadInput, match="dockerfilePath"):
        rules.check_inner_path(path, "dockerfilePath")


@given(st.text(max_size=40))
def test_an_accepted_path_is_inside_whatever_was_sent(text: str) -> None:
    try:
        path = rules.check_inner_path(text, "buildContext")
    except BadInput:
        return
    assert not path.startswith(("/", "-")) and ".." not in path.split("/") and "\0" not in path


@pytest.mark.parametrize(
    ("text", "registry", "path", "tag", "digest"),
    [
        ("node:20", "", "node", "20", None),
        ("library/node", "", "library/node", None, None),
        ("127.0.0.1:5000/ns/u1-app2:latest", "127.0.0.1:5000", "ns/u1-app2", "latest", None),
        ("r.example.com/a@sha256:" + "0" * 64, "r.example.com", "a", None, "sha256:" + "0" * 64),
        ("localhost/x:y", "localhost", "x", "y", None),
    ],
)
def test_image_references(text: str, registry: str, path: str, tag: str | None, digest: str | None) -> None:
    ref = rules.parse_image(text)
    assert (ref.registry, ref.path, ref.tag, ref.digest) == (registry, path, tag, digest)
    assert str(ref) == text


@pytest.mark.parametrize(
    "text", ["", "--privileged", "A/b", "a b", "a:", "a@sha256:1", "http://x/y", "a/../b", "x" * 513, "r.io/", "a:t:u", "a\n"]
)
def test_what_is_not_an_image_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="image"):
        rules.parse_image(text)


@pytest.mark.parametrize("port", [0, -1, 65536, 70000])
def test_ports_outside_the_range_name_the_field(port: int) -> None:
    with pytest.raises(BadInput, match="containerPort"):
        Payload.model_validate({"containerPort": port})


def test_a_payload_keeps_what_it_does_not_know() -> None:
    job = CreateJob.model_validate({"type": "BUILD_AND_DEPLOY", "payload": {"userId": 1, "shiny": {"new": 1}}, "more": 1})
    assert job.to_wire() == {"type": "BUILD_AND_DEPLOY", "payload": {"userId": 1, "shiny": {"new": 1}}}


@pytest.mark.parametrize("url", ["ssh://git@h:2222/funai/u1-app2.git", "ssh://git@10.0.0.1/a/b"])
def test_repository_urls(url: str) -> None:
    assert rules.check_ssh_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://h/x",
        "ssh://-oProxyCommand=x/y",
        "git@h:x",
        "ssh://git@h/../x",
        "ext::sh -c id",
        "ssh://git@h/-x",
        "file:///etc",
    ],
)
def test_only_plain_ssh_urls_reach_git(url: str) -> None:
    with pytest.raises(BadInput, match="repoSshUrl"):
        rules.check_ssh_url(url)


@pytest.mark.parametrize("path", ["/", "/a/b?c=../d", "/a..b/...", "/" + "x" * 499])
def test_health_paths(path: str) -> None:
    assert rules.check_health_path(path) == path


@pytest.mark.parametrize(
    "path", ["", "x", "/a b", "/é", "/..", "/a/../b", "/a/%2E%2e/b", "/a/..%2fb", "/a\\..", "/" + "x" * 500]
)
def test_health_paths_that_the_gateway_would_refuse_are_refused_before_a_rollout(path: str) -> None:
    with pytest.raises(BadInput):
        rules.check_health_path(path)
