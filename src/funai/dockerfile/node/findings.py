"""What a person should know about the plan of their project: the Runner's log and ``funai check`` say the same."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from funai.dockerfile.node.bins import missing_program
from funai.dockerfile.node.managers import Kind
from funai.dockerfile.node.plan import Plan
from funai.dockerfile.node.start import MAX_SCRIPT
from funai.dockerfile.node.versions import MAJORS
from funai.dockerfile.tokens import token_words, tokens
from funai.i18n.reasons import Words

_BUILD_ENV_FILES = (".env", ".env.local", ".env.production.local", ".env.development", ".env.development.local", ".env.test")
_BUILT = re.compile(r"(\./)?(dist|build|lib|out|\.output)(/[\w@./-]*)?$", re.ASCII)
"""Where compilers and bundlers commonly write."""
_NAMES = {Kind.NPM: "npm", Kind.PNPM: "pnpm", Kind.YARN: "yarn", Kind.BERRY: "yarn", Kind.BUN: "bun"}


@dataclass(frozen=True, slots=True)
class Notice:
    """``code`` is a stable word; ``weighty``: a warning, else just how the image is made."""

    code: str
    words: Words
    weighty: bool = True


def notices(plan: Plan) -> list[Notice]:
    """In the order in which they matter; the first lines of a build's log."""
    return [*_node(plan), *_manager(plan), *_missing(plan), *_start(plan), *_development(plan), *_secrets(plan)]


def _node(plan: Plan) -> Iterator[Notice]:
    node, wish = plan.node, plan.node.wish
    if wish is None:
        return
    have = node.major
    if not node.satisfied:
        offered = ", ".join(map(str, MAJORS))
        yield Notice(
            "NODE_VERSION",
            Words(
                f"{wish.source} 要求 Node {wish.text}，标准镜像使用 Node {have}（{offered} 中能取到的）；"
                "需要其他版本请自带 Dockerfile",
                f"{wish.source} asks for Node {wish.text}; the standard image has Node {have} (what can be had of {offered}); "
                "bring a Dockerfile for another version",
            ),
        )
    else:
        yield Notice(
            "NODE_CHOSEN",
            Words(f"Node {have}（{wish.source}：{wish.text}）", f"Node {have} ({wish.source}: {wish.text})"),
            False,
        )


def _manager(plan: Plan) -> Iterator[Notice]:
    if plan.site and plan.site.pages is not None:
        return
    manager = plan.manager
    name = _NAMES[manager.kind]
    if manager.lockfile and not manager.empty_lock:
        about = f"{manager.package or name}"
        yield Notice(
            "PACKAGE_MANAGER",
            Words(f"依赖由 {about} 按 {manager.lockfile} 安装", f"packages are installed by {about} from {manager.lockfile}"),
            False,
        )
        return
    if manager.empty_lock:
        yield Notice(
            "NO_LOCKFILE",
            Words(
                f"{manager.lockfile} 没有锁定任何依赖：运行 {name} install 并提交它",
                f"{manager.lockfile} locks nothing: run `{name} install` and commit it",
            ),
        )
        return
    lockfile = {"npm": "package-lock.json", "pnpm": "pnpm-lock.yaml", "yarn": "yarn.lock", "bun": "bun.lock"}[name]
    yield Notice(
        "NO_LOCKFILE",
        Words(f"没有 {lockfile}：每次构建可能装到不同的依赖", f"no {lockfile}: builds may install different dependencies"),
    )


def _missing(plan: Plan) -> Iterator[Notice]:
    missing = missing_program(plan.files, plan.start) if plan.start else None
    if missing:
        program, package = missing.program, missing.package
        yield Notice(
            "START_PROGRAM_MISSING",
            Words(
                f"start 运行 {program}，但 package.json 里没有 {package}：运行 npm install {package} 并提交",
                f"start runs {program}, and package.json has no {package}: run `npm install {package}` and commit",
            ),
        )

    elif absent := _absent_file(plan):
        yield Notice(
            "START_FILE_MISSING",
            Words(
                f"start 运行 {absent}，但仓库里没有它，package.json 也没有 build 脚本：请加上 build 脚本（如 tsc）",
                f"start runs {absent}, which is not in the repository, and there is no build script: add one (such as tsc)",
            ),
        )


def _absent_file(plan: Plan) -> str | None:
    """The built file that ``node FILE`` runs, where neither the repository nor a script of it can bring it."""
    start, files = plan.start, plan.files
    steps = start.steps if start and not start.opaque else ()
    if plan.build or plan.hooks or len(steps) != 1 or steps[0].program != "node":
        return None
    step = steps[0]
    name = step.arguments[0] if step.arguments else ""
    if not _BUILT.match(name):
        return None
    path = posixpath.normpath(posixpath.join(step.folder, name))
    candidates = (path, *(f"{path}{end}" for end in (".js", ".cjs", ".mjs", ".json", "/index.js", "/package.json")))
    return None if any(map(files.has, candidates)) else name


def _start(plan: Plan) -> Iterator[Notice]:
    need = plan.keep_dev
    if need and need.package:
        yield Notice(
            "DEV_DEPENDENCIES_KEPT",
            Words(
                f"start 用到 devDependencies 中的 {need.package}：它们会留在镜像里；生产环境需要的请移到 dependencies",
                f"start needs {need.package}, a devDependency: all stay in the image; production's belong in dependencies",
            ),
        )
    elif need:
        yield Notice(
            "DEV_DEPENDENCIES_KEPT",
            Words(
                f"无法判断 start（{need.program}）是否需要 devDependencies：它们会留在镜像里",
                f"can't tell whether start ({need.program}) needs devDependencies: they stay in the image",
            ),
            False,
        )
    if plan.start and not {"start", "server.js"} & {*plan.files.package.scripts, *plan.files.paths}:
        chosen = plan.start.script
        yield Notice(
            "START_CHOSEN",
            Words(f"没有 start 脚本：运行 {chosen}", f"no start script: `{chosen}` is run"),
            False,
        )
    if plan.compiles:
        yield Notice(
            "START_COMPILES",
            Words(
                f"start（{plan.compiles}）会再编译一次：改用 start:prod",
                f"start ({plan.compiles}) would compile once more: start:prod is used",
            ),
            False,
        )
    if plan.site:
        instead = plan.site.instead_of
        zh, en = (f"，代替“{instead}”", f" instead of `{instead}`") if instead else ("", "")
        yield Notice(
            "STATIC_SITE",
            Words(f"静态网站：由平台的静态服务器提供{zh}", f"a static site: the platform's static server serves it{en}"),
            False,
        )


def _development(plan: Plan) -> Iterator[Notice]:
    main = plan.start.main if plan.start else None
    if main and main.program in ("next", "nuxt", "nuxi") and main.arguments[:1] == ("dev",):
        yield Notice(
            "START_IS_DEV",
            Words(
                f"start 运行的是开发服务器（{main.program} dev），慢且占内存：请启动构建后的应用",
                f"start runs a development server ({main.program} dev), slow and large: start the built app",
            ),
        )
    elif plan.start and (beside := _development_beside(plan)):
        yield Notice(
            "START_IS_DEV",
            Words(
                f"start 同时运行开发服务器（{beside}），访问者到不了它：请让服务器提供构建后的页面，start 只启动服务器",
                f"start runs a development server ({beside}) beside the app, which visitors don't reach: let the server serve "
                "the built pages, and start it alone",
            ),
        )


_RUNS = re.compile(r"\b(?:npm|pnpm|yarn|bun) run ([\w:.-]{1,60})|\bnpm:([\w:.-]{1,60})")
_SERVES_PAGES = re.compile(
    r"(?:npx )?(?:vite(?: dev| serve)?|react-scripts start|ng serve|vue-cli-service serve)(?: -.*)?", re.DOTALL
)


def _development_beside(plan: Plan) -> str | None:
    """A page's development server among the scripts that ``start`` runs at the same time (``concurrently``)."""
    start, scripts = plan.start, plan.files.package.scripts
    if start is None or start.plain or len(start.script) > MAX_SCRIPT:
        return None
    named = [one or other for one, other in _RUNS.findall(start.script)]
    return next((scripts[n] for n in named if n in scripts and len(named) > 1 and _SERVES_PAGES.fullmatch(scripts[n])), None)


def _secrets(plan: Plan) -> Iterator[Notice]:
    files = plan.files
    for name in tokens(files.texts):
        yield Notice("SECRET_COMMITTED", token_words(name))
    if (
        plan.start
        and "--env-file" in plan.start.script
        and not any("--env-file" in w for s in plan.start.steps for w in s.words)
    ):
        yield Notice(
            "ENV_FILE_LEFT_OUT",
            Words(
                "start 的 --env-file 指向镜像里没有的文件，已略去该参数：变量请用 funai env set",
                "start names an --env-file that the image lacks, so the flag is left out: set variables with `funai env set`",
            ),
        )
    left_out = [] if files.has(".dockerignore") else [name for name in _BUILD_ENV_FILES if files.has(name)]
    if left_out:
        listed = ", ".join(left_out)
        yield Notice(
            "ENV_FILE_LEFT_OUT",
            Words(
                f"{listed} 不会进入镜像：变量请用 funai env set（构建时需要的加 --build）",
                f"{listed} stays out of the image: set variables with `funai env set` (--build where builds need them)",
            ),
        )
