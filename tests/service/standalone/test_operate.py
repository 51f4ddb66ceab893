"""``funai config check|show``, ``backup`` and ``restore`` as an operator types them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from funai.cli.main import add_standalone, build
from funai.standalone import services
from funai.standalone.configuration import choosing
from funai.standalone.layout import Layout, Secrets, load_secrets
from funai.standalone.parts.engine import EngineChoice, EngineKind
from tests.service.cli.world import Said


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Short enough for a data dir's sockets; pytest's own folders may not be."""
    with tempfile.TemporaryDirectory(prefix="f-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = build()
    add_standalone(app)
    return app


def funai(app: typer.Typer, *words: object, **env: str) -> Said:
    done = CliRunner().invoke(app, [str(w) for w in words], env={"FUNAI_LANG": "en", **env})
    return Said(done.exit_code, done.stdout, done.stderr)


def test_check_reads_the_file_and_the_environment_and_starts_nothing(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "funai.toml"
    file.write_text('[server]\npublic_host = "d.example"\n')
    fine = funai(app, "config", "check", "--data-dir", tmp_path, "--json", NPM_REGISTERY="x", DEPLOY_BASE_URL="y")
    assert (fine.code, fine.document["ok"]) == (0, True)
    assert [w.split()[2].rstrip(":") for w in fine.document["warnings"]] == ["NPM_REGISTERY", "DEPLOY_BASE_URL"]
    assert [p.name for p in tmp_path.iterdir()] == ["funai.toml"]
    file.write_text("[settings]\nRUNNER_CLONE_SECONDS = -1\n'deploy.job.max-attempts' = 0\n")
    bad = funai(app, "config", "check", "--data-dir", tmp_path)
    assert bad.code == 2
    assert bad.err.count(f"(from {file})") == 2, "the problems of all services at once"


def test_check_tells_entries_that_change_nothing_as_the_others_are(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "funai.toml"
    file.write_text('[https]\nport = 8443\n[databases]\nmongo_memory = "2g"\n')
    warnings = funai(app, "config", "check", "--data-dir", tmp_path, "--json").document["warnings"]
    assert [line.split()[0] for line in warnings] == ["https.port", "databases.mongo_memory"]
    assert "https.certificate" in warnings[0] and str(file) in warnings[0]
    file.write_text('[databases]\nmongo = "container"\nmongo_memory = "2g"\n')
    assert funai(app, "config", "check", "--data-dir", tmp_path, "--json").document["warnings"] == []


def test_show_tells_each_value_and_where_it_came_from_without_passwords(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "funai.toml"
    file.write_text('[builds]\nmemory = "3g"\n[proxies]\nhttp = "http://u:sesame@p:1"\n')
    said = funai(app, "config", "show", "--config", file, "--json", RUNNER_SLOTS="4")
    found = {row["name"]: (row["value"], row["source"]) for row in said.document}
    assert found["builds.memory"] == (str(3 << 30), str(file))
    assert found["builds.slots"] == ("4", "environment variable RUNNER_SLOTS")
    assert found["proxies.http"] == ("http://p:1", str(file))
    assert found["ports.api"] == ("8080", "default")
    assert "sesame" not in funai(app, "config", "show", "--config", file).out


def test_what_an_operator_sets_for_builds_reaches_the_runner(tmp_path: Path) -> None:
    """It was ignored in silence: the npm registry and the certificate authority of the machine."""
    ca = tmp_path / "ca.pem"
    ca.touch()
    environ = {"NPM_REGISTRY": "https://registry.example", "RUNNER_BUILD_CA": str(ca), "RUNTIME_APP_MEMORY": "1g"}
    options = choosing.options_of(choosing.read(None, tmp_path, {}, environ))
    layout, secrets = Layout(tmp_path / "data"), Secrets()
    layout.make()
    engine = EngineChoice(
        kind=EngineKind.PODMAN,
        binary="podman",
        version="",
        rootless=False,
        socket=None,
        environment={},
        why="",
        limits=(),
        host_reaches_containers=True,
    )
    runner = services.runner_settings(options, layout, secrets, engine)
    assert (runner.npm_registry, runner.ca_file) == ("https://registry.example", ca)
    assert services.runtime_settings(options, layout, secrets, engine, tmp_path / "s").app_memory == 1 << 30


def test_a_backup_and_its_restore_answer_in_json(app: typer.Typer, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    layout.make()
    load_secrets(layout.secrets_file)
    made = funai(app, "backup", tmp_path / "b.tar", "--data-dir", layout.root, "--without-images", "--json")
    assert (made.code, made.document["registry"]) == (0, False), made
    assert funai(app, "restore", tmp_path / "b.tar", "--data-dir", tmp_path / "new", "--json").code == 0
    again = funai(app, "restore", tmp_path / "b.tar", "--data-dir", tmp_path / "new")
    assert (again.code, "is not empty" in again.err) == (2, True)
