"""funai.toml, the environment and flags: who wins, what is told of what nobody reads, and what the services get of it."""

from __future__ import annotations

import ssl
import tomllib
from pathlib import Path
from typing import Any

import pytest

from funai.contracts.errors import ConfigError
from funai.runner.settings import RunnerSettings
from funai.standalone import services
from funai.standalone.configuration import choosing, template
from funai.standalone.configuration.loading import ignored, load, own_names, service_names, unread
from funai.standalone.configuration.model import Config, env_of, sections
from funai.standalone.given import Given
from funai.standalone.layout import Layout, Secrets
from funai.standalone.upkeep import unit


def written(folder: Path, text: str) -> Path:
    file = folder / "funai.toml"
    file.write_text(text)
    return file


def test_load_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, '[builds]\nslots = 2\nnpm_registry = "https://file"\nmemory = "3g"\n[server]\nhost = "10.0.0.1"\n')
    environ = {"RUNNER_SLOTS": "3", "NPM_REGISTRY": "https://env"}
    loaded = load(file, {("builds", "slots"): 4}, environ)
    builds = loaded.config.builds
    assert (builds.slots, builds.npm_registry, builds.memory) == (4, "https://env", 3 << 30)
    assert loaded.sources["builds", "slots"] == "--slots"
    assert loaded.sources["builds", "npm_registry"] == "environment variable NPM_REGISTRY"
    assert loaded.sources["server", "host"] == str(file)
    runner = loaded.given.load(RunnerSettings, {"agent_token": "t" * 20})
    assert (runner.npm_registry, runner.build_memory_bytes, runner.slots) == ("https://env", 3 << 30, 4)


def test_load_any_setting_of_a_service_is_taken_by_either_name_and_lists_too(tmp_path: Path) -> None:
    file = written(
        tmp_path, '[settings]\n"deploy.job.max-attempts" = 5\nRUNNER_LABELS = ["a", "b"]\nRUNNER_CLONE_SECONDS = 7\n'
    )
    given = load(file, environ={"RUNNER_CLONE_SECONDS": "9"}).given
    assert given.environ["DEPLOY_JOB_MAX_ATTEMPTS"] == "5"
    runner = given.load(RunnerSettings, {"agent_token": "t" * 20})
    assert (runner.labels, runner.clone_seconds) == (["a", "b"], 9)


def test_load_every_problem_is_told_at_once_with_its_origin_and_the_nearest_name(tmp_path: Path) -> None:
    text = '[server]\npublic_hots = "x"\n[portss]\na = 1\n[ports]\napi = 99999\n[builds]\nimage_mirror = "http://x y"\n'
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        load(file, environ={"RUNNER_SLOTS": "none"})
    said = "\n".join(refused.value.problems)
    assert len(refused.value.problems) == 5
    for words in (
        "public_hots is nothing that can be set; did you mean public_host?",
        "did you mean ports?",
        "ports.api: ",
        "builds.image_mirror: ",
        "environment variable RUNNER_SLOTS",
    ):
        assert words in said
    with pytest.raises(ConfigError, match=r"deploy\.jobs\.max-attempts is no setting.*did you mean DEPLOY_JOB_MAX_ATTEMPTS"):
        load(written(tmp_path, '[settings]\n"deploy.jobs.max-attempts" = 1\n'), environ={})
    with pytest.raises(ConfigError, match=r"funai\.toml: can't be read .*line 1"):
        load(written(tmp_path, "[server\n"), environ={})


def test_load_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "funai.toml").mkdir()
    with pytest.raises(ConfigError, match=r"funai\.toml: can't be read .*directory"):
        load(tmp_path / "funai.toml", environ={})


def test_load_a_file_that_is_not_there_has_defaults_and_no_file(tmp_path: Path) -> None:
    assert load(tmp_path / "funai.toml", environ={}).file is None


def test_a_services_own_refusal_names_the_file_that_the_value_came_from(tmp_path: Path) -> None:
    file = written(tmp_path, "[settings]\nRUNNER_CLONE_SECONDS = -1\n")
    with pytest.raises(ConfigError, match=rf"RUNNER_CLONE_SECONDS: .*from {file}"):
        load(file, environ={}).given.load(RunnerSettings, {"agent_token": "t" * 20})


def test_unread_variables_that_look_like_ours_are_told_and_others_are_not() -> None:
    environ = {
        "NPM_REGISTERY": "x",
        "FUNAI_APPS_DOMAN": "x",
        "RUNNER_BUILD_CAS": "x",
        "DEPLOY_SOMETHING_ELSE": "x",
        "PATH": "x",
        "GIT_SSH_COMMAND": "x",
        "HTTPS_PROXY": "x",
        "NPM_REGISTRY": "x",
        "FUNAI_LANG": "en",
        "http_proxy": "x",
        "HOME": "/",
    }
    said = unread(environ)
    assert [line.split()[2].rstrip(":") for line in said] == [
        "DEPLOY_SOMETHING_ELSE",
        "FUNAI_APPS_DOMAN",
        "NPM_REGISTERY",
        "RUNNER_BUILD_CAS",
    ]
    assert "did you mean NPM_REGISTRY?" in said[2]


def test_ignored_variables_are_those_that_up_decides_itself() -> None:
    given = Given({"RUNNER_CLONE_SECONDS": "5"})
    runner = given.load(RunnerSettings, {"agent_token": "t" * 20, "slots": 1}, {"clone_seconds": 2, "lease_seconds": 15})
    assert (runner.clone_seconds, runner.lease_seconds) == (5, 15)
    assert [line.split()[2] for line in ignored({"RUNTIME_AGENT_TOKEN": "x", "RUNNER_SLOTS": "3"}, given.fixed)] == [
        "RUNTIME_AGENT_TOKEN:"
    ]


def test_every_entry_stands_for_a_setting_that_exists() -> None:
    own = {
        "FUNAI_DATA_DIR",
        "FUNAI_HOST",
        "FUNAI_PUBLIC_HOST",
        "FUNAI_APPS_DOMAIN",
        "FUNAI_API_PORT",
        "FUNAI_REGISTRY_PORT",
        "FUNAI_TLS_CERTIFICATE",
        "FUNAI_TLS_KEY",
        "FUNAI_API_HTTPS_PORT",
        "FUNAI_IMAGE_MIRROR",
        "FUNAI_POSTGRES",
        "FUNAI_MONGO",
        "FUNAI_MONGO_IMAGE",
        "FUNAI_MONGO_MEMORY",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
    }
    assert own_names() - own <= service_names()


def test_template_is_a_file_that_changes_nothing_and_names_every_entry(tmp_path: Path) -> None:
    file = tmp_path / "funai.toml"
    assert template.ensure(file)
    assert not template.ensure(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert load(file, environ={}).config == Config()
    text = file.read_text()
    live: dict[str, Any] = tomllib.loads(
        "\n".join(line.removeprefix("# ") for line in text.splitlines() if " = " in line or "[" in line[:1])
    )
    for name, kind in sections().items():
        assert set(live[name]) == set(kind.model_fields), name
        assert all(f"environment: {env_of(info)}" in text for info in kind.model_fields.values())


def test_data_dir_of_flag_file_environ(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("o")  # a data dir has at most 67 characters, and the name of this test would be in it
    tmp_path = tmp_path_factory.mktemp("t")
    file = written(tmp_path, f'[server]\ndata_dir = "{other}"\n')
    assert choosing.options_of(choosing.read(file, None, {}, {})).data_dir == other
    assert choosing.options_of(choosing.read(file, tmp_path, {}, {})).data_dir == tmp_path
    written(other, "[builds]\nslots = 5\n")
    assert choosing.options_of(choosing.read(None, None, {}, {"FUNAI_DATA_DIR": str(other)})).slots == 5
    place = ("server", "data_dir")
    assert choosing.read(None, other, {}, {}).sources[place] == "--data-dir"
    assert choosing.read(None, None, {}, {"FUNAI_DATA_DIR": str(other)}).sources[place].endswith("FUNAI_DATA_DIR")
    assert place not in choosing.read(None, None, {}, {"HOME": str(other)}).sources
    with pytest.raises(ConfigError, match="there is no such file"):
        choosing.read(tmp_path / "none.toml", None, {}, {})


def test_options_of_a_certificate_without_its_key_or_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs both"):
        choosing.options_of(choosing.read(None, tmp_path, {("https", "certificate"): tmp_path / "c.pem"}, {}))
    (tmp_path / "c.pem").write_text("x")
    flags = {("https", "certificate"): tmp_path / "c.pem", ("https", "key"): tmp_path / "c.pem"}
    with pytest.raises(ConfigError, match=r"https\.certificate .*not a certificate"):
        choosing.options_of(choosing.read(None, tmp_path, flags, {}))


def test_options_of_an_acme_authority_certifies_the_public_host(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("a")
    text = '[https]\nacme_directory = "https://acme.test/dir"\nacme_email = "ops@example.com"\nport = 443\n'
    with pytest.raises(ConfigError, match=r"https\.acme_directory: 127\.0\.0\.1 can't be certified; set server\.public_host"):
        choosing.options_of(choosing.read(written(folder, text), folder, {}, {}))
    named = {("server", "public_host"): "deploy.example.com"}
    options = choosing.options_of(choosing.read(written(folder, text), folder, named, {}))
    assert (options.gateway_url, options.public_api_url) == ("https://deploy.example.com", "https://deploy.example.com:8444")
    layout = Layout(folder)
    gateway = services.gateway_settings(options, layout, Secrets())
    assert (gateway.https_port, gateway.own_hosts, gateway.tls_dir) == (443, ["deploy.example.com"], None)
    assert (gateway.acme_directory_url, gateway.acme_email) == ("https://acme.test/dir", "ops@example.com")
    assert options.tls
    chain, key = services.certificate_files(options, options.tls, layout)
    assert chain == key == gateway.data_dir / "acme" / "certificates" / "deploy.example.com.pem"
    assert chain.stat().st_mode & 0o777 == 0o600
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key)  # stands in until the gateway has the real one


def test_set_proxies_gives_the_files_to_a_process_that_has_none(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, '[proxies]\nhttp = "http://file:1"\nnone = "a.example"\n'), environ={})
    environ = {"HTTP_PROXY": "http://env:1"}
    choosing.set_proxies(loaded, environ)
    assert environ == {"HTTP_PROXY": "http://env:1", "no_proxy": "a.example"}


def test_render_the_unit_runs_this_program_with_the_options_given() -> None:
    flags = {
        ("server", "public_host"): "d.example",
        ("ports", "api"): 81,
        ("https", "key"): Path("/k$y"),
        ("builds", "slots"): 2,
    }
    argv = unit.command(Path("/etc/funai/100%.toml"), Path("/var/lib/funai"), flags)
    assert argv[argv.index("up") :] == [
        "up",
        "--data-dir",
        "/var/lib/funai",
        "--config",
        "/etc/funai/100%.toml",
        "--public-host",
        "d.example",
        "--api-port",
        "81",
        "--tls-key",
        "/k$y",
        "--slots",
        "2",
    ]
    text = unit.render(argv, language="zh", root=True)
    assert "KillMode=process" in text
    assert "100%%.toml" in text and "'/k$$y'" in text


def test_gateway_settings_an_https_port_without_a_certificate_switches_no_https_on(tmp_path: Path) -> None:
    file = written(tmp_path, "[https]\nport = 9443\n")
    data_dir = Path("/srv/funai")  # a test's own folder may be too long for sockets
    options = choosing.options_of(choosing.read(file, data_dir, {}, {}))
    assert services.gateway_settings(options, Layout(data_dir), Secrets()).https_port == 0


def test_source_of_a_flags_value_is_the_flag_as_it_is_called(tmp_path: Path) -> None:
    flags = {("https", "port"): 8443, ("https", "api_port"): 8444, ("ports", "git"): 2222, ("server", "public_host"): "h"}
    sources = load(tmp_path / "funai.toml", flags, {}).sources
    assert [sources[place] for place in flags] == ["--https-port", "--api-https-port", "--git-port", "--public-host"]
