"""What ``deploy/monitoring`` names: each series is one that a live ``/metrics`` has, and Prometheus can read the files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from funai.gateway.edge.follower import EdgeMetrics
from funai.gateway.haproxy.access_log import Seen
from funai.gateway.metrics import CertificateMetrics, GatewayMetrics
from funai.runner.metrics import RunnerMetrics, listening
from funai.runner.settings import RunnerSettings
from tests.parts.waiting import free_port
from tests.service.agent.agent import world
from tests.service.deploy.queue.kit import deploying

FOLDER = Path(__file__).parents[3] / "deploy" / "monitoring"
PROMTOOL = shutil.which("promtool")
SERIES = re.compile(r"\bfunai_[a-z0-9_]+\b(?:\{([^}]*)\})?")
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def expressions() -> list[str]:
    rules = (FOLDER / "funai-alerts.yml").read_text(encoding="utf-8")
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [re.sub(r"#.*|^\s*(?:summary|description|- name):.*", "", rules, flags=re.MULTILINE), *shown]


def exported(pages: list[str]) -> dict[str, set[str]]:
    """Names of series, each with the labels that were seen of it."""
    found: dict[str, set[str]] = {}
    for page in pages:
        for family in text_string_to_metric_families(page):
            for suffix in SUFFIXES.get(family.type, ()):
                found.setdefault(family.name + suffix, set())
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


async def pages(url: str) -> list[str]:
    """``/metrics`` of a Deploy with a node and a runner, an agent with its gateway, and a Runner."""
    async with deploying(url, cleanup_enabled=True, cleanup_registry="127.0.0.1:1") as deploy:
        await deploy.node()
        told = [(await deploy.raw.get("/metrics")).text]
    async with world() as agent:
        registry: CollectorRegistry = agent.parts.app.state.registry
        GatewayMetrics(registry).count(Seen(0.0, 7, 502, 1, 1, 1, b""))
        EdgeMetrics(registry)
        CertificateMetrics(registry, lambda: {"example.com": 1e9})
        told.append((await agent.http.get("/metrics")).text)
    port = free_port()
    runner = RunnerSettings(agent_token=SecretStr("t0ken"), metrics_port=port)
    async with listening(runner, RunnerMetrics(CollectorRegistry())), httpx.AsyncClient(trust_env=False) as http:
        told.append((await http.get(f"http://127.0.0.1:{port}/metrics")).text)
    return told


async def test_each_series_of_rules_and_dashboard_is_exported_with_its_labels(sqlite_url: str) -> None:
    known = exported(await pages(sqlite_url))
    used = [(found[0].partition("{")[0], found[1] or "") for e in expressions() for found in SERIES.finditer(e)]
    assert len({name for name, _ in used}) > 15
    assert sorted({name for name, _ in used} - set(known)) == []
    for name, selector in used:
        labels = set(re.findall(r"([a-z_]+)\s*[=!]", selector))
        assert not known[name] or labels <= known[name] | {"job", "instance"}, (name, selector)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here: Debian's package prometheus has it")
@pytest.mark.parametrize("words", [("rules", "funai-alerts.yml"), ("config", "prometheus.yml")])
def test_prometheus_reads_the_files(words: tuple[str, str]) -> None:
    assert PROMTOOL is not None
    kind, file = words
    done = subprocess.run([PROMTOOL, "check", kind, str(FOLDER / file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_metrics_behind_an_address_list_refuse_all_others(sqlite_url: str) -> None:
    async with deploying(sqlite_url, metrics_allowed_ips=["10.9.0.0/16"], trusted_proxies=["127.0.0.1"]) as deploy:
        refused = await deploy.raw.get("/metrics")
        assert (refused.status_code, refused.json()["reason"]) == (403, "IP_FORBIDDEN")
        assert (await deploy.raw.get("/internal/health")).status_code == 200
        passed = await deploy.raw.get("/metrics", headers={"X-Forwarded-For": "10.9.1.1"})
        assert "funai_deploy_nodes" in passed.text
