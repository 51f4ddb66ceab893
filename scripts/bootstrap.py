"""Set the machine up: packages, virtualenv, container engine, base image. Standard library only.

Idempotent, and quick when nothing is to be done. ``--tests`` adds what the tests and linters need. Output of the
programs it runs goes to ``.state/setup.log``; its end is shown when one fails.
"""

from __future__ import annotations

import compileall
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".state"
LOG = STATE / "setup.log"
VENV = ROOT / ".venv"
STAMP = VENV / "funai-setup.json"
LOCKS = {"run": ROOT / "requirements.lock", "tests": ROOT / "requirements-dev.lock"}
TICK_SECONDS = 0.2
QUIET_SECONDS = 10

sys.path.insert(0, str(ROOT / "src"))
from funai.standalone.parts import packages  # noqa: E402


class Failed(Exception):
    """A step failed; the text is what a person needs."""


def main() -> int:
    tests = "--tests" in sys.argv[1:]
    STATE.mkdir(exist_ok=True)
    started = time.monotonic()
    with (STATE / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            ensure_packages(tests=tests)
            ensure_virtualenv(tests=tests)
            compileall.compile_dir(ROOT / "src", quiet=2)  # milliseconds when nothing changed; a start compiles none then
            ensure_engine()
        except (Failed, packages.NotInstalled) as e:
            sys.stderr.write(f"\n{e}\n")
            return 1
    step(f"ready ({time.monotonic() - started:.1f} s)")
    return 0


def ensure_packages(*, tests: bool) -> None:
    """Install the Debian packages whose programs are missing."""
    absent = packages.missing(packages.needs(tests=tests))
    if absent:
        packages.install(absent, run_step, interactive=sys.stdin.isatty())
    still = packages.missing(packages.needs(tests=tests))
    if still and absent != ["python3-venv"]:
        raise Failed(f"installed, but what they bring can't be found: {' '.join(still)}")
    step("packages: all there")


def ensure_virtualenv(*, tests: bool) -> None:
    """Have ``.venv`` with the locked packages, every one checked against its hash, and the project itself."""
    wanted = "tests" if tests else "run"
    stamp = read_stamp()
    if not venv_works():
        shutil.rmtree(VENV, ignore_errors=True)
        if not run_step("making .venv", [sys.executable, "-m", "venv", str(VENV)], {}):
            raise Failed(f"no virtualenv could be made with {sys.executable}")
        stamp = {}
    # The test set contains the other one: having it is enough for both.
    if stamp.get(wanted) == fingerprint(wanted) or stamp.get("tests") == fingerprint("tests"):
        step("virtualenv: up to date")
        return
    python = str(VENV / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    locked = ["--require-hashes", "--no-deps", "--prefer-binary", "--no-compile", "--requirement", str(LOCKS[wanted])]
    if not run_step(f"installing {LOCKS[wanted].name}", [*pip, *locked], {}):
        raise Failed(f"pip could not install {LOCKS[wanted].name}")
    site = next((VENV / "lib").glob("python3*")) / "site-packages"
    # In parallel, and once: without this every start would compile what it imports where bytecode isn't written.
    run_step("compiling", [python, "-m", "compileall", "-q", "-j", "0", str(site)], {"PYTHONDONTWRITEBYTECODE": ""})
    install_project(site)
    STAMP.write_text(json.dumps({**stamp, wanted: fingerprint(wanted)}))
    step("virtualenv: installed")


def install_project(site: Path) -> None:
    """The working tree itself: importable, and ``.venv/bin/funai``."""
    (site / "funai-deploy.pth").write_text(f"{ROOT / 'src'}\n")
    launcher = VENV / "bin" / "funai"
    launcher.write_text(f"#!{VENV / 'bin' / 'python'}\nimport sys\n\nfrom funai.cli.main import main\n\nsys.exit(main())\n")
    launcher.chmod(0o755)


def ensure_engine() -> None:
    """A container engine that works, and the base image: the project's own code, in the new virtualenv."""
    step("containers")
    argv = [str(VENV / "bin" / "python"), "-m", "funai.standalone.parts.setup"]
    if subprocess.run(argv, cwd=ROOT, check=False).returncode != 0:
        raise Failed("The set-up stops here.")


def venv_works() -> bool:
    """False when there is none, when it was moved here from elsewhere, or when its Python is gone or too old."""
    python = VENV / "bin" / "python"
    code = "import sys; print(sys.prefix, sys.version_info >= (3, 11))"
    try:
        done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    scripts_at_home = not (VENV / "bin" / "pip").exists() or str(VENV) in (VENV / "bin" / "pip").read_text()
    return done.stdout.split() == [str(VENV), "True"] and scripts_at_home


def fingerprint(which: str) -> str:
    """Changes when the lock, this script, or where the tree lives does."""
    parts = [LOCKS[which].read_bytes(), Path(__file__).read_bytes(), str(ROOT).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def read_stamp() -> dict[str, str]:
    try:
        return json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}


def run_step(title: str, argv: Sequence[str], env: Mapping[str, str]) -> bool:
    """Run a program with its output in the log, showing that time passes. Shows the log's end when it fails."""
    started = time.monotonic()
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(argv)}\n".encode())
        log.flush()
        begin = log.tell()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **env}, cwd=ROOT)
        shown = 0.0
        step(f"{title} …", end="" if sys.stdout.isatty() else "\n")
        while (code := poll(process)) is None:
            passed = time.monotonic() - started
            if sys.stdout.isatty():
                step(f"{title} … {passed:.0f} s", end="", again=True)
            elif passed - shown >= QUIET_SECONDS:
                shown = passed
                step(f"{title} … {passed:.0f} s")
    step(f"{title}: {'done' if code == 0 else 'failed'} ({time.monotonic() - started:.1f} s)", again=sys.stdout.isatty())
    if code != 0:
        said = LOG.read_bytes()[begin:].decode(errors="replace").splitlines()
        sys.stderr.write("".join(f"    {line}\n" for line in said[-15:]))
    return code == 0


def poll(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def step(text: str, *, end: str = "\n", again: bool = False) -> None:
    """One line of progress; ``again`` overwrites the line before on a terminal."""
    sys.stdout.write(f"{chr(13) + chr(27) + '[K' if again else ''}▸ {text}{end}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
