"""Private configuration for Podman: as little as is needed, and valid TOML."""

from __future__ import annotations

import tomllib

from funai.standalone.parts.engine_conf import UNLIMITED, HostFacts, ladder, registries_conf, render

FACTS = HostFacts(nofile_hard=20_000, nproc_hard=96_365, runtimes=("crun", "runc"), netavark=True)


def test_the_machines_own_configuration_comes_first() -> None:
    assert ladder(FACTS)[0].conf is None


def test_every_other_rung_is_toml_and_no_two_are_alike() -> None:
    confs = [rung.conf for rung in ladder(FACTS)[1:]]
    assert all(tomllib.loads(conf or "") for conf in confs)
    assert len(set(confs)) == len(confs)


def test_own_limits_are_never_higher_than_what_the_process_may_have() -> None:
    conf = tomllib.loads(ladder(FACTS)[1].conf or "")
    assert conf["containers"]["default_ulimits"] == ["nofile=20000:20000", "nproc=32768:32768"]


def test_a_process_without_limits_gets_sane_ones() -> None:
    facts = HostFacts(nofile_hard=UNLIMITED, nproc_hard=UNLIMITED, runtimes=(), netavark=False)
    conf = tomllib.loads(ladder(facts)[1].conf or "")
    assert conf == {"containers": {"default_ulimits": ["nofile=65536:65536", "nproc=32768:32768"]}}


def test_runc_is_only_tried_where_it_is_installed() -> None:
    without = HostFacts(nofile_hard=1024, nproc_hard=1024, runtimes=("crun",), netavark=True)
    assert "runc" not in str(ladder(without))
    assert tomllib.loads(ladder(FACTS)[-1].conf or "")["engine"]["runtime"] == "runc"


def test_an_insecure_registry_is_added_to_the_machines_own_file() -> None:
    machine = 'unqualified-search-registries = ["mirror.example"]\n[[registry]]\nlocation = "docker.io"\n'
    conf = tomllib.loads(registries_conf(["127.0.0.1:5000", "http://10.0.0.2:5001"], machine))
    assert conf["unqualified-search-registries"] == ["mirror.example"]
    assert conf["registry"] == [
        {"location": "docker.io"},
        {"location": "127.0.0.1:5000", "insecure": True},
        {"location": "10.0.0.2:5001", "insecure": True},
    ]


def test_an_old_style_registries_file_is_left_out() -> None:
    conf = tomllib.loads(registries_conf(["a:1"], "[registries.search]\nregistries = ['x']\n"))
    assert conf == {"unqualified-search-registries": ["docker.io"], "registry": [{"location": "a:1", "insecure": True}]}


def test_render_leaves_empty_sections_out() -> None:
    assert render({"a": {}, "b": {"c": True, "d": ["x"]}}) == '[b]\nc = true\nd = ["x"]\n'
