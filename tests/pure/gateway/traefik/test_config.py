"""Traefik's labels and files: who answers for which path, and that Traefik would read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest

from funai.contracts.agent import AgentDeploy
from funai.contracts.routes import Route, RouteState
from funai.gateway.main import container_labels
from funai.gateway.settings import Driver, GatewaySettings
from funai.gateway.traefik import config as traefik
from funai.gateway.traefik.config import FileOptions
from tests.pure.gateway.traefik_rules import Asked, decide, from_labels, matches, merged
from tests.pure.gateway.traefik_schema import schema_of

VERSIONS = (2, 3)


def options(version: int, **more: Any) -> FileOptions:
    return FileOptions(version=version, secret="s", pages_url="http://127.0.0.1:7006", **more)


def files(version: int, **more: Any) -> list[dict[str, Any]]:
    given = options(version, **more)
    routes = [
        Route(1, host="10.0.0.1", port=3000, generation=7),
        Route(10, host="fd00::1", port=80, generation=8),
        Route(2, RouteState.STOPPED),
        Route(3, RouteState.STARTING),
    ]
    return [traefik.common_config(given), *(traefik.route_config(r, given) for r in routes)]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_files_mean_what_they_should(version: int) -> None:
    config = merged(*files(version))
    expected = {
        "/runtime/1/": ("rt-svc-1", "/"),
        "/runtime/1/a//b": ("rt-svc-1", "/a//b"),
        "/runtime/10/x": ("rt-svc-10", "/x"),
        "/runtime/2/x": ("funai-pages", "/stopped"),
        "/runtime/2": ("funai-pages", "/stopped"),
        "/runtime/3/": ("funai-pages", "/starting"),
        "/runtime/4/": ("funai-pages", "/runtime/4/"),
        "/runtime/100/": ("funai-pages", "/runtime/100/"),
        "/runtime/1x/": ("funai-pages", "/runtime/1x/"),
        "/runtime/1%2f/": ("funai-pages", "/runtime/1%2f/"),
    }
    for path, (service, inner) in expected.items():
        decided = decide(config, Asked(path), version)
        assert decided is not None, path
        assert (path, decided.service, decided.path, decided.redirect) == (path, service, inner, None)
        assert decided.headers == {}
    for path in ("/", "/runtime", "/other/1/"):
        assert decide(config, Asked(path), version) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_the_bare_base_path_gets_its_slash_and_keeps_its_query(version: int) -> None:
    config = merged(*files(version))
    for query in ("", "a=/runtime/1&b"):
        decided = decide(config, Asked("/runtime/1", query=query), version)
        assert decided is not None
        assert decided.redirect == "http://h.example/runtime/1/" + (f"?{query}" if query else "")


@pytest.mark.parametrize("version", VERSIONS)
def test_only_the_owners_question_gets_the_generation(version: int) -> None:
    config = merged(*files(version))
    mine = (("X-Funai-Probe", traefik.probe_token("s", 1)),)
    answer = decide(config, Asked("/runtime/1/x", headers=mine), version)
    assert answer is not None
    assert (answer.service, answer.path, answer.headers) == ("rt-svc-1", "/x", {"X-Funai-Generation": "7"})
    for path, header in (("/runtime/1/x", "wrong"), ("/runtime/10/x", mine[0][1]), ("/runtime/1/x", "")):
        other = decide(config, Asked(path, headers=(("X-Funai-Probe", header),)), version)
        assert other is not None
        assert other.headers == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_name_for_each_app(version: int) -> None:
    config = merged(*files(version, wildcard_domain="apps.example.com"))
    for host, service, path in (("1", "rt-svc-1", "/runtime/10/"), ("2", "funai-pages", "/stopped")):
        decided = decide(config, Asked("/runtime/10/", host=f"{host}.apps.example.com"), version)
        assert decided is not None
        assert (decided.service, decided.path) == (service, path)
    decided = decide(config, Asked("/x", host="1.apps.example.com"), version)
    assert decided is not None
    assert (decided.service, decided.path, decided.prefix) == ("rt-svc-1", "/x", None)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_files_are_what_traefiks_schema_allows(version: int) -> None:
    """Against the published schema where it is at hand; its shape in any case: every name that is used is defined."""
    for variant in ({}, {"entrypoints": ("web",), "wildcard_domain": "apps.example.com"}):
        config = merged(*files(version, **variant))
        http = config["http"]
        for router in http["routers"].values():
            assert router["service"] in http["services"]
            assert set(router.get("middlewares", [])) <= http["middlewares"].keys()
            assert router.get("entryPoints", ["web"]) == ["web"]
            matches(router["rule"], Asked("/"), version)
        schema = schema_of(version)
        if schema is not None:
            for one in (config, *files(version, **variant)):
                jsonschema.validate(one, schema)


def test_the_schema_would_notice() -> None:
    schema = schema_of(3)
    if schema is None:
        return
    broken = merged(*files(3))
    broken["http"]["routers"]["rt-app-1"]["middlewares"] = "rt-mw-1"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_urls_and_generations_are_text() -> None:
    six = traefik.route_config(Route(10, host="fd00::1", port=80, generation=8), options(3))["http"]
    assert six["services"]["rt-svc-10"]["loadBalancer"]["servers"] == [{"url": "http://[fd00::1]:80"}]
    assert six["middlewares"]["rt-gen-10"]["headers"]["customResponseHeaders"] == {"X-Funai-Generation": "8"}


def test_labels_are_those_of_the_contract() -> None:
    labels = traefik.labels(1, 3000, network="apps")
    assert labels["traefik.enable"] == "true"
    assert labels["traefik.docker.network"] == "apps"
    assert labels["traefik.http.routers.rt-app-1.service"] == "rt-svc-1"
    assert "rt-mw-1" in labels["traefik.http.routers.rt-app-1.middlewares"].split(",")
    assert labels["traefik.http.middlewares.rt-mw-1.stripprefix.prefixes"] == "/runtime/1"
    assert labels["traefik.http.services.rt-svc-1.loadbalancer.server.port"] == "3000"
    assert all(isinstance(v, str) for v in labels.values())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_label_rule_never_matches_a_sibling(version: int) -> None:
    config = merged(from_labels(traefik.labels(1, 3000)), from_labels(traefik.labels(10, 80)))
    cases = {"/runtime/1/": "rt-svc-1", "/runtime/1/10/": "rt-svc-1", "/runtime/10/": "rt-svc-10", "/runtime/10/1": "rt-svc-10"}
    for path, service in cases.items():
        decided = decide(config, Asked(path), version)
        assert decided is not None
        assert (path, decided.service, decided.redirect) == (path, service, None)
    for path in ("/runtime/100/", "/runtime/1x", "/runtime/", "/runtime/11", "/x/runtime/1/"):
        assert decide(config, Asked(path), version) is None
    bare = decide(config, Asked("/runtime/10", query="q=1"), version)
    assert bare is not None
    assert bare.redirect == "http://h.example/runtime/10/?q=1"


def shared(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if ".rt-own-" not in name}


def own(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if ".rt-own-" in name}


def test_two_generations_have_equal_labels() -> None:
    """Docker's provider merges equal ones into one service, and drops a router whose definitions differ."""
    settings = GatewaySettings(
        driver=Driver.TRAEFIK_LABELS,
        public_url="http://127.0.0.1",
        traefik_entrypoints=["web"],
        wildcard_domain="apps.example.com",
    )
    of = container_labels(settings, "apps")
    old, new = (of(AgentDeploy(user_id="1", app_id="1", image=f"r/n/a:{tag}", generation=n)) for n, tag in ((1, "a"), (2, "b")))
    assert shared(old) == shared(new)
    assert not own(old).keys() & own(new).keys(), "what is a container's alone can't disagree with another's"
    assert own(new)["traefik.http.routers.rt-own-1-2.rule"] == old["traefik.http.routers.rt-app-1.rule"]
    assert own(new)["traefik.http.routers.rt-own-1-2-shown.rule"] == "Path(`/runtime/1/.funai-shown/2`)"
    assert old["traefik.http.routers.rt-app-1.entrypoints"] == "web"
    assert old["traefik.http.routers.rt-host-1.rule"] == "Host(`1.apps.example.com`)"
    assert container_labels(GatewaySettings())(AgentDeploy(user_id="1", app_id="1", image="r/n/a:b")) == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_signpost_of_the_highest_rank_has_the_app_to_itself(version: int) -> None:
    """Both containers of app 1 and one of app 10, and signposts for each of app 1's."""
    more = {"entrypoints": ("web",), "wildcard_domain": "apps.example"}
    containers = [traefik.labels(1, 3000, generation=g, **more) for g in (4, 5)] + [
        traefik.labels(10, 80, generation=9, **more)
    ]
    old, new = (traefik.signpost(Route(1, port=3000, generation=g), rank, **more) for g, rank in ((5, 2), (4, 1)))
    everything = merged(*(from_labels(one) for one in (*containers, old, new)))
    for asked in (Asked("/runtime/1/x"), Asked("/any", host="1.apps.example")):
        decided = decide(everything, asked, version)
        assert decided is not None
        assert decided.service == "rt-now-1-5"
    for path, host in (("/runtime/10/x", "h.example"), ("/runtime/1/", "10.apps.example")):
        decided = decide(everything, Asked(path, host=host), version)
        assert decided is not None
        assert decided.service == "rt-svc-10", "another app's"
    for generation in (4, 5):
        shown = decide(everything, Asked(traefik.signpost_path(1, generation)), version)
        assert shown is not None
        assert shown.redirect == f"http://h.example{traefik.signpost_path(1, generation)}/{traefik.SHOWN_AT}"
    of_own = decide(everything, Asked(traefik.shown_path(1, 5)), version)
    assert of_own is not None
    assert of_own.redirect is not None


def test_signposts_without_an_end_stay_below_every_host_rule() -> None:
    labels = traefik.signpost(Route(1, port=3000, generation=4), 10**9)
    assert int(labels["traefik.http.routers.rt-now-1-4.priority"]) < 1000
