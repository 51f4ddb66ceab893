"""Set the machine up: packages, virtualenv, container engine, base image. Standard library only.

Idempotent, and quick when nothing is to be done. ``--tests`` adds what the tests and linters need. Output of the
programs it runs goes to ``.state/setup.log``; its end is shown when one fails.
"""

from __future__ import annotations

import compileall
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".state"
LOG = STATE / "setup.log"
VENV = ROOT / ".venv"
STAMP = VENV / "funai-setup.json"
LOCKS = {"run": ROOT / "requirements.lock", "tests": ROOT / "requirements-dev.lock"}

sys.path[:0] = [str(ROOT / "src"), str(ROOT / "scripts")]
import ferretdb  # noqa: E402

from funai.standalone.parts import packages  # noqa: E402
from funai.standalone.parts.steps import Steps, step  # noqa: E402

STEPS = Steps(LOG, ROOT)


class Failed(Exception):
    """A step failed; the text is what a person needs."""


def main() -> int:
    tests = "--tests" in sys.argv[1:]
    STATE.mkdir(exist_ok=True)
    started = time.monotonic()
    with (STATE / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            packages.ensure(packages.needs(tests=tests), STEPS.run, interactive=sys.stdin.isatty())
            step("packages: all there")
            ensure_virtualenv(tests=tests)
            compileall.compile_dir(ROOT / "src", quiet=2)  # milliseconds when nothing changed; a start compiles none then
            if tests:
                step(ferretdb.build())
            ensure_engine()
        except (Failed, packages.NotInstalled) as e:
            sys.stderr.write(f"\n{e}\n")
            return 1
    step(f"ready ({time.monotonic() - started:.1f} s)")
    return 0


def ensure_virtualenv(*, tests: bool) -> None:
    """Have ``.venv`` with the locked packages, every one checked against its hash, and the project itself."""
    wanted = "tests" if tests else "run"
    stamp = read_stamp()
    if not venv_works():
        shutil.rmtree(VENV, ignore_errors=True)
        if not STEPS.run("making .venv", [sys.executable, "-m", "venv", str(VENV)], {}):
            raise Failed(f"no virtualenv could be made with {sys.executable}")
        stamp = {}
    # The test set contains the other one: having it is enough for both.
    if stamp.get(wanted) == fingerprint(wanted) or stamp.get("tests") == fingerprint("tests"):
        step("virtualenv: up to date")
        return
    python = str(VENV / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    locked = ["--require-hashes", "--no-deps", "--prefer-binary", "--no-compile", "--requirement", str(LOCKS[wanted])]
    if not STEPS.run(f"installing {LOCKS[wanted].name}", [*pip, *locked], {}):
        raise Failed(f"pip could not install {LOCKS[wanted].name}")
    site = next((VENV / "lib").glob("python3*")) / "site-packages"
    # In parallel, and once: without this every start would compile what it imports where bytecode isn't written.
    STEPS.run("compiling", [python, "-m", "compileall", "-q", "-j", "0", str(site)], {"PYTHONDONTWRITEBYTECODE": ""})
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


if __name__ == "__main__":
    sys.exit(main())
