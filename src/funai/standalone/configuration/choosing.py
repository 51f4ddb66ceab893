"""From flags, environment and ``funai.toml`` to the options of one start."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path

from funai.contracts.errors import ConfigError
from funai.standalone.configuration import loading
from funai.standalone.configuration.loading import FILE, Flags, Loaded
from funai.standalone.options import CONTAINER, Ports, Tls, UpOptions, check_options, default_data_dir
from funai.standalone.phrases import phrase


def read(file: Path | None, data_dir: Path | None, flags: Flags, environ: Mapping[str, str] = os.environ) -> Loaded:
    """``file`` is ``--config``, ``data_dir`` is ``--data-dir``. Raises ConfigError with every problem."""
    if file is not None:
        if not file.exists():
            raise ConfigError([f"--config {file}: there is no such file"])
        return loading.load(file, _with_dir(flags, data_dir), environ)
    folder = data_dir or _named_dir(environ) or default_data_dir(environ)
    loaded = loading.load(folder.expanduser() / FILE, _with_dir(flags, folder), environ)
    if data_dir is not None:
        return loaded
    sources = {place: source for place, source in loaded.sources.items() if place != ("server", "data_dir")}
    if _named_dir(environ):
        sources["server", "data_dir"] = "environment variable FUNAI_DATA_DIR"
    return replace(loaded, sources=sources)


def options_of(loaded: Loaded) -> UpOptions:
    """The options, checked. Raises ConfigError."""
    config = loaded.config
    server, https, ports = config.server, config.https, config.ports
    if (https.certificate is None) is not (https.key is None):
        missing = "key" if https.key is None else "certificate"
        raise ConfigError([f"https.{missing} is not set; HTTPS needs both a certificate and its key"])
    options = UpOptions(
        data_dir=server.data_dir or default_data_dir(),
        host=server.host,
        name=server.public_host,
        apps_domain=server.apps_domain,
        ports=Ports(**{name: getattr(ports, name) for name in type(ports).model_fields}),
        tls=Tls(https.certificate, https.key, https.port, https.api_port)
        if https.certificate or https.acme_directory
        else None,
        image_mirror=config.builds.image_mirror,
        postgres=config.databases.postgres,
        mongo=config.databases.mongo,
        mongo_image=config.databases.mongo_image,
        mongo_memory=config.databases.mongo_memory,
        given=loaded.given,
        slots=config.builds.slots,
    ).with_absolute_dir()
    check_options(options)
    return options


def idle(loaded: Loaded, options: UpOptions) -> list[str]:
    """A sentence for every entry that is set and, with the others as they are, changes nothing."""
    off = options.tls is None and "GATEWAY_TLS_DIR" not in options.given.environ
    contained = options.mongo == CONTAINER
    wanted = {
        ("https", "port"): ("https.certificate and https.key, or https.acme_directory", off),
        ("https", "api_port"): ("https.certificate and https.key, or https.acme_directory", options.tls is None),
        ("https", "acme_email"): ("https.acme_directory", loaded.config.https.acme_directory is None),
        ("https", "acme_ca_file"): ("https.acme_directory", loaded.config.https.acme_directory is None),
        ("databases", "mongo_image"): ('databases.mongo = "container"', not contained),
        ("databases", "mongo_memory"): ('databases.mongo = "container"', not contained),
    }
    return [
        phrase("idle", name=".".join(place), source=loaded.sources[place], wanted=needs)
        for place, (needs, unused) in wanted.items()
        if unused and place in loaded.sources
    ]


def set_proxies(loaded: Loaded, environ: MutableMapping[str, str] = os.environ) -> None:
    """Give the file's proxies to this process, where the environment has none in either spelling."""
    found = loaded.config.proxies
    for name, value in (("http_proxy", found.http), ("https_proxy", found.https), ("no_proxy", found.none)):
        if value and name not in environ and name.upper() not in environ:
            environ[name] = value


def _named_dir(environ: Mapping[str, str]) -> Path | None:
    return Path(environ["FUNAI_DATA_DIR"]) if environ.get("FUNAI_DATA_DIR") else None


def _with_dir(flags: Flags, data_dir: Path | None) -> Flags:
    return {**flags, ("server", "data_dir"): data_dir} if data_dir else flags
