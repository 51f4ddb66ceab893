"""The build contract's rules over file contents."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funai.contracts.apps import buildspec
from funai.contracts.apps.buildspec import AppSpec, parse_app_yaml
from funai.contracts.errors import BadInput

PACKAGE = '{"scripts": {"start": "node s.js"}}'


def test_app_yaml() -> None:
    assert parse_app_yaml("port: 4000\nhealthPath: /ok?x=1\nlater: 1\n") == AppSpec(4000, "/ok?x=1")
    assert parse_app_yaml("") == parse_app_yaml("# nothing\n") == AppSpec()


@pytest.mark.parametrize(
    "text",
    [
        "port: 0",
        "port: 70000",
        "port: yes",
        "port: '80'",
        "healthPath: ok",
        "- a",
        "a: [",
        "x",
        "healthPath: '/a b'",
        "healthPath: /a/../b",
        "healthPath: 7",
    ],
)
def test_app_yaml_that_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_app_yaml(text)
    assert caught.value.reason == "APP_YAML_INVALID" and "{" not in caught.value.message("zh")


@given(st.text(max_size=300))
def test_app_yaml_never_breaks_in_another_way(text: str) -> None:
    with suppress(BadInput):
        parse_app_yaml(text)


BOMBS = {
    "aliases": "a0: &a0 [x, x]\n{}healthPath: *a9\n".format(
        "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 99}]\n" for n in range(1, 10))
    ),
    "merges": "a0: &a0 {{k: 1}}\n{}port: 80\n".format(
        "".join(f"a{n}: &a{n} {{<<: [{f'*a{n - 1}, ' * 99}]}}\n" for n in range(1, 10))
    ),
    "lists": "[" * 60_000,
    "mappings": "{" * 60_000,
    "keys": "? " * 30_000,
    "dashes": "- " * 30_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_app_yaml_that_stands_for_more_than_it_holds_is_refused_by_its_line(bomb: str) -> None:
    """Each would take hours, or all memory, to read whole."""
    with pytest.raises(BadInput, match=r"aliases|nested") as refused:
        parse_app_yaml(BOMBS[bomb])
    assert "line " in refused.value.message("en")


def test_app_yaml_keeps_the_prefix_only_when_it_says_so() -> None:
    assert parse_app_yaml("stripPrefix: false").strip_prefix is False and parse_app_yaml("port: 1").strip_prefix is None
    with pytest.raises(BadInput):
        parse_app_yaml("stripPrefix: 'no'")


def test_a_port_asked_for_wins_then_the_files_then_3000() -> None:
    assert buildspec.choose_port(8080, AppSpec(4000)) == 8080
    assert buildspec.choose_port(3000, AppSpec(4000)) == buildspec.choose_port(None, AppSpec(4000)) == 4000
    assert buildspec.choose_port(None, AppSpec()) == buildspec.choose_port(3000, AppSpec()) == 3000


def test_lockfile_addresses_that_resolve_inside_one_network_only() -> None:
    def lock(host: str) -> str:
        return f'{{"packages": {{"a": {{"resolved": "https://{host}/a.tgz"}}}}}}'

    for host in ("npm.corp", "nexus:8081", "10.1.2.3", "192.168.0.9:4873", "x.internal"):
        assert buildspec.private_hosts(lock(host)) == {host.partition(":")[0]}
    for host in ("registry.npmjs.org", "registry.npmmirror.com", "11.1.2.3"):
        assert buildspec.private_hosts(lock(host)) == set()


def test_lfs_is_an_attribute_and_not_a_word() -> None:
    assert buildspec.uses_lfs("*.bin filter=lfs -text\n")
    assert not buildspec.uses_lfs("# filter=lfs\nfilter=lfs.txt text\n")


def test_files_made_to_break_or_to_be_read_forever() -> None:
    for text in ("a: 2024-99-99", "a: " + "9" * 5000, "[" * 5000):
        with suppress(BadInput):
            parse_app_yaml(text)
