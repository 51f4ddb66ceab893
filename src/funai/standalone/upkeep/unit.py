"""``funai up --install``: a systemd unit with the options given, hardened as far as containers allow."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from funai.contracts.errors import ConfigError
from funai.i18n.language import pick
from funai.standalone.configuration import choosing
from funai.standalone.configuration.loading import Flags
from funai.standalone.phrases import phrase

NAME = "funai.service"
FOLDER = Path("/etc/systemd/system")
UNIT = """# Written by `funai up --install`; change it with `systemctl edit funai`.
[Unit]
Description=FunAI Deploy
Documentation=man:systemd.service(5)
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=2
# Exit status 2 is a configuration that can't be used: starting again would not help.
RestartPreventExitStatus=2
# Containers and HAProxy outlive this process, and the next one finds them: only it is signalled.
KillMode=process
TimeoutStopSec=90
LimitNOFILE=1048576
TasksMax=infinity
Delegate=yes
UMask=0077
# What running containers allows. Mounts must be seen by the engine's own processes, so no private mount namespace.
NoNewPrivileges={no_new_privileges}
RestrictRealtime=yes
LockPersonality=yes
RestrictSUIDSGID=no
SystemCallArchitectures=native
Environment=FUNAI_LANG={language}

[Install]
WantedBy=multi-user.target
"""


def command(config: Path | None, data_dir: Path, flags: Flags) -> list[str]:
    """The command line that the unit runs: this program, with the options that were given, as absolute paths."""
    argv = [*_program(), "up", "--data-dir", str(data_dir)]
    argv += ["--config", str(config.absolute())] if config else []
    names = {
        ("https", "certificate"): "tls-certificate",
        ("https", "key"): "tls-key",
        ("https", "port"): "https-port",
        ("https", "api_port"): "api-https-port",
    }
    for (section, key), value in flags.items():
        name = names.get((section, key)) or (f"{key}-port" if section == "ports" else key.replace("_", "-"))
        argv += [f"--{name}", str(value.absolute() if isinstance(value, Path) else value)]
    return argv


def _program() -> list[str]:
    found = shutil.which(sys.argv[0]) if sys.argv else None
    return [str(Path(found).absolute())] if found else [sys.executable, "-m", "funai.cli.main"]


def render(argv: list[str], *, language: str, root: bool) -> str:
    """The unit's text; ``%`` and ``$`` of the options are systemd's own signs and are doubled."""
    line = shlex.join(argv).replace("%", "%%").replace("$", "$$")
    return UNIT.format(command=line, language=language, no_new_privileges="no" if root else "yes")


def install(config: Path | None, data_dir: Path | None, flags: Flags) -> int:
    """Write the unit and start it; answers the exit status. The configuration is checked first."""
    try:
        options = choosing.options_of(choosing.read(config, data_dir, flags))
        if os.geteuid() != 0:
            raise ConfigError([phrase("unit_root")])
        systemctl = shutil.which("systemctl")
        if systemctl is None or not Path("/run/systemd/system").is_dir():
            raise ConfigError([phrase("unit_no_systemd")])
    except ConfigError as e:
        sys.stderr.writelines(f"funai: {problem}\n" for problem in e.problems)
        return 2
    file = FOLDER / NAME
    file.write_text(render(command(config, options.data_dir, flags), language=pick(os.environ), root=True))
    for words in (["daemon-reload"], ["enable", "--now", NAME]):
        if subprocess.run([systemctl, *words], check=False).returncode != 0:
            return 6
    print(phrase("unit_installed", file=file, name=NAME))  # noqa: T201
    return 0
