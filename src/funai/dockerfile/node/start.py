"""What ``npm start`` comes down to: the command that runs the app, without the package managers and shells in between.

A process that stands between the container's init and the app keeps signals from it, and memory. A script that is a plain
chain of commands is therefore run by one shell, which becomes the last command; anything else runs below a small
launcher that passes SIGTERM on to the app itself.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from funai.dockerfile.node.files import Package, ProjectFiles

MAX_DEPTH = 8
MAX_SCRIPT, MAX_SCRIPTS = 8_192, 64
"""Characters of one script, and how many are read in all: scripts that each call others several times have no end."""
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_SUBSTITUTION = re.compile(r"`|\$\(|\n")
_SPAWNERS = frozenset(
    {
        "nest",
        "nodemon",
        "concurrently",
        "npm-run-all",
        "npm-run-all2",
        "run-p",
        "run-s",
        "turbo",
        "nx",
        "lerna",
        "dotenv",
        "dotenvx",
        "env-cmd",
        "wait-on",
        "start-server-and-test",
        "ts-node-dev",
        "tsnd",
        "tsup",
        "tsc-watch",
        "babel-watch",
        "npm",
        "npx",
        "pnpm",
        "pnpx",
        "yarn",
        "bun",
        "bunx",
        "cross-env-shell",
        "wireit",
        "moon",
        "rushx",
        "forever",
    }
)
"""Programs that start the app as a child and don't pass SIGTERM on, or not surely."""
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh"})
_BUILTINS = frozenset({"cd", "export", "echo", "true", ":", "test", "[", "exec", "set", "unset", "printf", "."})


@dataclass(frozen=True, slots=True)
class Step:
    """One simple command: ``env`` are its assignments, ``words`` as the shell reads them (quotes kept)."""

    words: tuple[str, ...]
    env: tuple[str, ...] = ()
    folder: str = ""

    @property
    def program(self) -> str:
        return _plain(self.words[0]) if self.words else ""

    @property
    def starts_others(self) -> bool:
        """Whether the app may be a child of this program, as with a shell's script (``sh start.sh``, ``./start.sh``)."""
        folder, _, name = self.program.rpartition("/")
        of_project = bool(folder) and "node_modules" not in folder
        return self.program in _SPAWNERS or name in _SHELLS or name.endswith(".sh") or (of_project and name != "node")

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(map(_plain, self.words[1:]))


@dataclass(frozen=True, slots=True)
class Start:
    """``steps``: every command that is known to run; ``plain``: all of them in a row, so one shell can run them.

    ``managers``: package managers that are called at run time; ``opaque``: something runs that can't be determined.
    """

    script: str
    steps: tuple[Step, ...]
    plain: bool
    managers: frozenset[str] = field(default_factory=frozenset[str])
    opaque: bool = False

    @property
    def main(self) -> Step | None:
        return self.steps[-1] if self.steps else None

    def shell(self) -> str:
        """The line for ``sh -c``; the last command takes the shell's place."""
        parts: list[str] = []
        folder = ""
        for number, step in enumerate(self.steps):
            if step.folder != folder:
                parts.append(f"cd {shlex.quote('/app/' + step.folder if step.folder else '/app')}")
                folder = step.folder
            last = number == len(self.steps) - 1
            run = " ".join((*(("env", *step.env) if step.env else ()), *step.words))
            parts.append(f"exec {run}" if last and step.program not in _BUILTINS else run)
        return " && ".join(parts)


def read_start(files: ProjectFiles, script: str, *, name: str = "start") -> Start:
    """The start script of the root package, resolved through the scripts that it calls."""
    return _Reader(files).read(files.package, name, script, 0)


class _Reader:
    def __init__(self, files: ProjectFiles) -> None:
        self._files = files
        self._left = MAX_SCRIPTS

    def read(self, package: Package, name: str, script: str, depth: int) -> Start:
        before, after = package.scripts.get(f"pre{name}"), package.scripts.get(f"post{name}")
        start = self._line(package, script, depth)
        if before:
            first = self.read(package, f"pre{name}", before, depth + 1) if depth < MAX_DEPTH else _opaque(before)
            start = Start(
                script,
                (*first.steps, *start.steps),
                first.plain and start.plain,
                first.managers | start.managers,
                first.opaque or start.opaque,
            )
        return replace(start, plain=False) if after else start

    def _line(self, package: Package, script: str, depth: int) -> Start:
        self._left -= 1
        chain, chained = split_commands(script) if self._left >= 0 else (None, False)
        if chain is None or depth >= MAX_DEPTH:
            return _opaque(script)
        steps: list[Step] = []
        plain, managers, opaque, moved = chained, frozenset[str](), False, False
        for words in chain:
            step = self._without_env_files(_step(words, package.folder))
            inner = None if moved else self._called(package, step, depth)
            moved = moved or words[0] == "cd"
            if inner is None:
                steps.append(step)
                plain = plain and not step.starts_others and bool(step.words)
                if step.program in ("npm", "npx", "pnpm", "pnpx", "yarn", "bun", "bunx"):
                    managers |= {step.program}
                    opaque = opaque or step.program != "bun"
                continue
            if step.env and len(inner.steps) > 1:
                plain = False
            steps += [replace(s, env=(*step.env, *s.env)) for s in inner.steps]
            plain = plain and inner.plain
            managers, opaque = managers | inner.managers, opaque or inner.opaque
        return Start(script, tuple(steps), plain, managers, opaque)

    def _without_env_files(self, step: Step) -> Step:
        """Without ``--env-file`` of a file that the image lacks: Node ends at once there, and the platform sets variables."""
        if step.program not in ("node", "tsx"):
            return step
        words, kept = iter(step.words), list[str]()
        for word in words:
            if word == "--env-file":
                word = f"{word}={next(words, '')}"
            name, _, file = word.partition("=")
            if name != "--env-file" or self._files.in_image(_in(step.folder, _plain(file).removeprefix("./"))):
                kept.append(word)
        return replace(step, words=tuple(kept))

    def _called(self, package: Package, step: Step, depth: int) -> Start | None:
        """What a call of another script runs (``npm run x``, ``yarn workspace web start``); None when it is no such call."""
        call = script_call(step.program, step.arguments)
        if call is None:
            return None
        target = package if call.package is None else self._member(package, call.package)
        if target is None:
            return None
        script = target.scripts.get(call.script)
        if script is None and call.script == "start" and self._files.has(_in(target.folder, "server.js")):
            script = "node server.js"
        if script is None:
            return None
        if call.extra:
            script = " ".join((script, *map(shlex.quote, call.extra)))
        return self.read(target, call.script, script, depth + 1)

    def _member(self, package: Package, name: str) -> Package | None:
        folder = name.removeprefix("./").strip("/")
        members = (*self._files.members, self._files.package)
        return next((m for m in members if name == m.name or (folder and m.folder == _in(package.folder, folder))), None)


@dataclass(frozen=True, slots=True)
class ScriptCall:
    script: str
    package: str | None = None
    extra: tuple[str, ...] = ()


_IMPLIED = {"npm": ("start", "test", "stop", "restart"), "pnpm": (), "yarn": (), "bun": ()}
_SELECTORS = ("-w", "--workspace", "--prefix", "-C", "--dir", "--cwd", "--filter", "-F")
_HARMLESS = ("-s", "--silent", "--if-present", "--no-audit", "--no-fund")
_OWN_COMMANDS = frozenset({"install", "add", "exec", "dlx", "x", "node", "i", "ci", "create", "init", "workspaces", "up"})


def script_call(program: str, arguments: Sequence[str]) -> ScriptCall | None:
    """``npm run x -- -p 1`` as a value; None for anything that isn't just a call of one script."""
    if program not in _IMPLIED:
        return None
    words, package, extra = list(arguments), None, ()
    if "--" in words:
        at = words.index("--")
        words, extra = words[:at], tuple(words[at + 1 :])
    rest: list[str] = []
    while words:
        word = words.pop(0)
        name, eq, value = word.partition("=")
        if name in _SELECTORS and len(rest) < 3:
            package = value if eq else (words.pop(0) if words else None)
        elif word == "workspace" and not rest and program == "yarn" and words:
            package = words.pop(0)
        elif word.startswith("-") and word not in _HARMLESS and not _named(program, rest):
            return None
        elif word not in _HARMLESS:
            rest.append(word)
    if rest[:1] in (["run"], ["run-script"]):
        rest = rest[1:]
    elif not rest or (rest[0] not in _IMPLIED["npm"] if program == "npm" else rest[0] in _OWN_COMMANDS):
        return None
    if not rest or (program == "npm" and len(rest) > 1):
        return None
    return ScriptCall(rest[0], package, (*rest[1:], *extra))


def _named(program: str, rest: Sequence[str]) -> bool:
    """Whether the script's name was said already: what follows is the script's (npm takes such flags for itself)."""
    return program != "npm" and bool(rest) and (rest[0] != "run" or len(rest) > 1)


def split_commands(script: str) -> tuple[list[list[str]] | None, bool]:
    """The simple commands of a shell line and whether they are all joined by ``&&``; None when it can't be determined."""
    if len(script) > MAX_SCRIPT or _SUBSTITUTION.search(script):
        return None, False
    lexer = shlex.shlex(script, posix=False, punctuation_chars=";&|()<>")
    lexer.whitespace_split, lexer.commenters = True, ""
    commands: list[list[str]] = [[]]
    chained = True
    try:
        for word in lexer:
            if not word or not set(word) <= set(";&|()<>"):
                commands[-1].append(word)
                continue
            chained = chained and word == "&&"
            # After a redirection comes no command.
            if not set(word) & set("<>"):
                commands.append([])
    except ValueError:
        return None, False
    return [c for c in commands if c], chained and all(commands)


def _step(words: Sequence[str], folder: str) -> Step:
    """Without wrappers that only set variables or find a program (``cross-env``, ``npx``, ``env``)."""
    env: list[str] = []
    rest = list(words)
    while rest:
        head = _plain(rest[0])
        bare = len(rest) > 1 and not rest[1].startswith("-")
        if _ASSIGNMENT.fullmatch(rest[0]):
            env.append(rest.pop(0))
        elif bare and (
            head in ("cross-env", "exec", "env")
            or (head in ("npx", "bunx", "pnpx") and re.fullmatch(r"[\w.-]+", rest[1]))
            or (head == "yarn" and len(rest) > 2 and rest[1] == "node")
        ):
            rest.pop(0)
        elif head in ("pnpm", "yarn", "npm") and len(rest) > 2 and rest[1] == "exec" and rest[2][0] != "-":
            del rest[:2]
        else:
            break
    return Step(tuple(rest), tuple(env), folder)


def _plain(word: str) -> str:
    try:
        return "".join(shlex.split(word)) if any(c in word for c in "'\"\\") else word
    except ValueError:
        return word


def _in(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder else path


def _opaque(script: str) -> Start:
    words = tuple(re.findall(r"[^\s;&|()<>\"'`$]+", script[:MAX_SCRIPT]))
    managers = frozenset(w for w in words if w in ("pnpm", "pnpx", "yarn", "bun", "bunx", "npx", "npm"))
    return Start(script, tuple(Step((w,)) for w in words), False, managers, opaque=True)
