"""The Dockerfile of a plan, and the files of the platform's that it copies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files as resources

from funai.contracts.apps.buildspec import CA_IN_CONTEXT
from funai.dockerfile.node import caches as kept
from funai.dockerfile.node.direct import direct_build, package_variables, quoted
from funai.dockerfile.node.managers import Kind
from funai.dockerfile.node.plan import Plan
from funai.dockerfile.node.system import COMPILERS
from funai.dockerfile.tokens import tokens

REGISTRY_AWAY = 97
"""Exit status of an install step whose package registry can't be reached."""
DEBIAN_AWAY = 98
"""Exit status of a step whose Debian packages can't be had."""
PLATFORM_ARGS = ("BASE_PATH", "FUNAI_URL", "FUNAI_APP_ID", "FUNAI_COMMIT", "FUNAI_RELEASE")
"""Build arguments that the platform gives to every Dockerfile that declares them."""
VARS_FILE, ADDRESS_FILE, TOOLS_FILE = ".funai-vars", ".funai-address", ".funai-tools"
"""The app's own variables for builds, what the platform tells about the app, and what package managers need
(:data:`QUIET` and the registry): ``export NAME=value`` lines."""
START_FILE, STATIC_FILE, PACKAGES_FILE = "funai-start.sh", "funai-static.mjs", "funai-packages.sh"
CA_IN_STAGE = "/etc/funai-ca.pem"
_MARK, _OUTPUT, _SITE = "/tmp/funai-built", "/tmp/funai-output", "/tmp/funai-site"


def render(plan: Plan, *, ca_in_context: bool = False, env_files: bool = False, caches: bool = False) -> str:
    """The Dockerfile.

    ``env_files``: the context has VARS_FILE, ADDRESS_FILE and TOOLS_FILE, shell files whose variables the build's steps get:
    unlike build arguments, their values stand in no command line, log or history, and they cost no cached step of their own
    (the engine takes some 80 ms for each). Without, steps get PLATFORM_ARGS as arguments.
    ``ca_in_context``: certificate authorities come as a file of the context, used by the first stages and not in the image.
    ``caches``: the engine has a folder for mounts of type cache that is the app's alone.
    """
    if plan.site and plan.site.pages is not None:
        return _title(plan) + "\n".join([_pages(plan.node.image, plan.site.pages, env_files), _final(plan, env_files)])
    install, build = _install(plan, ca_in_context, env_files, caches), _build(plan, env_files, caches)
    sections = [_title(plan) + "".join(_system(plan)) + install, *_production(plan, env_files), build, _final(plan, env_files)]
    return "\n".join(sections)


def extra_files(plan: Plan) -> dict[str, str]:
    """Files that the Dockerfile copies from the context, by name."""
    wanted = [START_FILE] if plan.launcher else [STATIC_FILE] if plan.site else []
    wanted += [PACKAGES_FILE] if plan.system or plan.may_compile else []
    return {name: resources("funai.dockerfile.node").joinpath(name).read_text("utf-8") for name in wanted}


QUIET = {
    "npm_config_update_notifier": "false",
    "npm_config_fund": "false",
    "npm_config_audit": "false",
    "HUSKY": "0",
    "NEXT_TELEMETRY_DISABLED": "1",
    "ASTRO_TELEMETRY_DISABLED": "1",
    "NUXT_TELEMETRY_DISABLED": "1",
    "YARN_ENABLE_TELEMETRY": "0",
}
"""Variables of the build's steps: tools that ask nothing and report nothing."""
_LINKED = {"YARN_NODE_LINKER": "node-modules"}
"""Yarn 2 and newer keep packages in archives by default; the image has them in a folder, and every call must know it."""


def tool_variables(plan: Plan) -> dict[str, str]:
    """The variables of each step that calls a package manager."""
    return QUIET | (_LINKED if plan.manager.kind is Kind.BERRY else {})


def _title(plan: Plan) -> str:
    name = plan.manager.command
    return (
        f"# The platform's standard image: {name}, Node {plan.node.major}, {'a static site' if plan.site else 'npm start'}.\n"
    )


def _install(plan: Plan, ca_in_context: bool, env_files: bool, caches: bool) -> str:
    lines = [f"FROM {_base(plan)} AS deps", "WORKDIR /app"]
    if not env_files:
        lines += ["ARG NPM_REGISTRY", "ARG NODE_EXTRA_CA_CERTS", _env(tool_variables(plan))]
    if ca_in_context:
        lines.append(f"COPY {CA_IN_CONTEXT} {CA_IN_STAGE}")
    if plan.manager.package:
        lines += [f"COPY {TOOLS_FILE} ./"] if env_files else []
        tools = _sourced(env_files, TOOLS_FILE)
        lines.append(f"RUN {tools}{_REGISTRY}npm install --global {plan.manager.package}{_or_blame()}")
    if plan.source_first:
        lines += [*_declared(env_files), "COPY . ."]
        variables = _sourced(env_files, TOOLS_FILE, VARS_FILE, ADDRESS_FILE)
    else:
        needed = [TOOLS_FILE, *([VARS_FILE] if plan.variables_at_install else [])] if env_files else []
        lines += _manifests(plan, needed)
        variables = _sourced(env_files, *needed)
    mount, cache = (kept.mount(kept.PACKAGES), kept.package_cache(plan.manager.kind)) if caches else ("", "")
    lines += _compilers_at_hand(plan, env_files)
    lines.append(f"RUN {mount}{variables}{cache}{_registry(plan)}{_install_command(plan)}{_or_blame()}")
    return "\n".join(lines) + "\n"


_PACKAGES = "/usr/local/bin/funai-packages"


def _base(plan: Plan) -> str:
    return "system" if plan.system else plan.node.image


def _system(plan: Plan) -> list[str]:
    """The stage that build and app stand on where the slim image lacks something; an image that has it stays as it is."""
    if not plan.system:
        return []
    program, *_ = plan.system
    lines = [
        f"FROM {plan.node.image} AS system",
        "ARG FUNAI_DEBIAN_MIRROR",
        "ARG NODE_EXTRA_CA_CERTS",
        f"COPY {PACKAGES_FILE} {_PACKAGES}",
        f"RUN command -v {program} || sh {_PACKAGES} {' '.join(plan.system)}",
    ]
    return ["\n".join(lines) + "\n\n"]


def _compilers_at_hand(plan: Plan, env_files: bool) -> list[str]:
    if not plan.may_compile:
        return []
    lines = [] if env_files else ["ARG FUNAI_DEBIAN_MIRROR"]
    return lines if plan.system else [*lines, f"COPY {PACKAGES_FILE} {_PACKAGES}"]


def _sourced(there: bool, *names: str) -> str:
    return "".join(f". ./{name}; " for name in names) if there else ""


def _manifests(plan: Plan, more: Sequence[str]) -> list[str]:
    files, lock = plan.files, plan.manager.lockfile
    names = ["package.json", *([lock] if lock else []), *more]
    optional = (".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml", ".pnpmfile.cjs", "bunfig.toml")
    # The bracket makes a file optional that a .dockerignore may leave out.
    names += [f"{n[:-1]}[{n[-1]}]" for n in optional if files.has(n)]
    lines = [f"COPY {' '.join(names)} ./"]
    lines += [f"COPY {m.folder}/package.json {m.folder}/" for m in files.members]
    early = [*plan.early, *([".yarn"] if any(p.startswith(".yarn/") for p in files.paths) else [])]
    return lines + [f"COPY {folder} ./{folder}" for folder in early]


_REGISTRY = 'if [ -n "$NPM_REGISTRY" ]; then export npm_config_registry="$NPM_REGISTRY"; fi; '


def _registry(plan: Plan) -> str:
    if plan.own_npmrc_registry:
        return ""
    if plan.manager.kind is Kind.BERRY:
        return (
            'if [ -n "$NPM_REGISTRY" ]; then export YARN_NPM_REGISTRY_SERVER="$NPM_REGISTRY" '
            'YARN_UNSAFE_HTTP_WHITELIST="*"; fi; '
        )
    if plan.manager.kind is Kind.YARN:
        # Yarn 1 fetches from the addresses in its lock file, whatever the registry is.
        return (
            f'{_REGISTRY}to="${{NPM_REGISTRY:-https://registry.npmjs.org}}"; '
            r'sed -i "s#https://registry\.\(yarnpkg\.com\|npmjs\.org\)/#${to%/}/#" yarn.loc[k]; '
        )
    return _REGISTRY


def _or_blame() -> str:
    """What follows an install: where it failed because the registry is away, the step ends with REGISTRY_AWAY."""
    probe = (
        "fetch(process.argv[1], {signal: AbortSignal.timeout(20000)})"
        f".then(r => process.exit(r.status < 500 ? 1 : {REGISTRY_AWAY}), "
        f'e => {{ console.error(process.argv[1] + ": " + (e.cause || e)); process.exit({REGISTRY_AWAY}) }})'
    )
    return f" \\\n || node -e '{probe}' \"$(npm config get registry)\""


def _install_command(plan: Plan) -> str:
    frozen = plan.manager.frozen
    match plan.manager.kind:
        case Kind.PNPM:
            command = f"CI=true pnpm install {'--frozen-lockfile' if frozen else '--no-frozen-lockfile'} --prod=false"
        case Kind.YARN:
            command = f"yarn install --non-interactive --production=false{' --frozen-lockfile' if frozen else ''}"
        case Kind.BERRY:
            command = f"yarn install {'--immutable' if frozen else '--no-immutable'}"
        case Kind.BUN:
            command = f"bun install{' --frozen-lockfile' if frozen else ''}"
        case Kind.NPM:
            # The project's own hooks need its source: they run after it came, with the package.json as it is.
            later = f"npm pkg delete {' '.join(f'scripts.{hook}' for hook in plan.hooks)} && " if plan.hooks else ""
            command = f"{later}npm {'ci' if frozen else 'install'} --include=dev"
    # npm ends well without a registry; what an install leaves last is looked for.
    done = "test -e node_modules/.package-lock.json" if plan.manager.kind is Kind.NPM else "test -e node_modules"
    if plan.foreign_engines:
        command = f"npm pkg delete engines && {command}"
    if not plan.has_dependencies:
        return f"mkdir -p node_modules && {command}"
    return _once_more_with_compilers(f"{command} && {done}") if plan.may_compile else f"{command} && {done}"


def _once_more_with_compilers(command: str) -> str:
    """Packages that fetch a binary come without compilers, which are large; where that failed, they are compiled.

    node-gyp takes Node's headers from the image where that has them.
    """
    headers = "[ ! -e /usr/local/include/node ] || export npm_config_nodedir=/usr/local"
    return f"{{ {command}; }} || {{ {headers}; sh {_PACKAGES} {' '.join(COMPILERS)} && {command}; }}"


def _production(plan: Plan, env_files: bool) -> list[str]:
    if not plan.prune or plan.source_first:
        return []
    tools = _sourced(env_files, TOOLS_FILE)
    return [f"FROM deps AS production\nRUN {tools}{_registry(plan)}{_prune_command(plan)} && mkdir -p node_modules\n"]


def _prune_command(plan: Plan) -> str:
    match plan.manager.kind:
        case Kind.PNPM:
            return "CI=true pnpm prune --prod --ignore-scripts"
        case Kind.YARN:
            return "yarn install --production --frozen-lockfile --ignore-scripts --prefer-offline --non-interactive"
        case Kind.BERRY:
            return "YARN_ENABLE_SCRIPTS=0 yarn workspaces focus --all --production"
        case _:
            return "npm prune --omit=dev --ignore-scripts"


def _declared(env_files: bool) -> list[str]:
    return [] if env_files else [f"ARG {name}" for name in PLATFORM_ARGS]


def _build(plan: Plan, env_files: bool, caches: bool) -> str:
    lines = ["FROM deps AS build"]
    if not plan.source_first:
        lines += [*_declared(env_files), "COPY . ."]
    steps = [*(kept.linked(plan.files) if caches else []), f"touch {_MARK}"]
    if plan.site:
        steps.append(f"mkdir -p {_SITE} && cp {STATIC_FILE} {_SITE}")
    if env_files:
        names = (TOOLS_FILE, VARS_FILE, ADDRESS_FILE)
        steps = [_sourced(True, *names) + f"rm -f {' '.join(names)}", *steps]
    steps += _registry_in_build(plan)
    if plan.hooks and plan.manager.kind is Kind.NPM:
        steps += [f"npm run {name}" for name in _hooks(plan.hooks)]
    if plan.site and plan.site.command:
        steps.append(f"./node_modules/.bin/{plan.site.command}")
    elif plan.build:
        alone = direct_build(plan.files) if env_files and not plan.build_in and plan.manager.kind is not Kind.BUN else None
        build = alone or f"{plan.manager.command} run build"
        steps += [f"(cd {plan.build_in} && {build})" if plan.build_in else build, *_behind_a_proxy(plan)]
    if plan.source_first and plan.prune:
        steps.append(_prune_command(plan))
    steps += _collect_site(plan) if plan.site else _tidy(plan, caches)
    # One step: each one is a layer that the engine has to write.
    mount = kept.mount(kept.BUILD) if caches else ""
    lines.append(f"RUN {mount}" + " \\\n && ".join(steps))
    return "\n".join(lines) + "\n"


def _behind_a_proxy(plan: Plan) -> list[str]:
    """Astro trusts no ``Host`` unless its configuration names some, takes itself for ``http://localhost``, and then refuses
    every form as cross-site. Where the project names none, all are allowed: the gateway has checked which app a host means.
    """
    known = {**plan.files.package.dependencies, **plan.files.package.dev_dependencies}
    if "@astrojs/node" not in known or plan.site:
        return []
    none, all_of_them = r'"allowedDomains":\[\]', '"allowedDomains":[{}]'
    return [f"{{ grep -rl '{none}' dist/server | xargs -r sed -i 's/{none}/{all_of_them}/'; }}"]


def _registry_in_build(plan: Plan) -> list[str]:
    """Scripts may install what lies in folders of their own (``cd client && npm install``)."""
    once_more = plan.source_first and plan.prune
    text = _registry(plan) if once_more else "" if plan.own_npmrc_registry else _REGISTRY
    return [f"{{ {text}}}"] if text else []


def _hooks(hooks: Sequence[str]) -> list[str]:
    """npm runs ``preinstall`` and ``postinstall`` around ``install`` by itself, and the like around ``prepare``."""
    around = {"install": ("preinstall", "postinstall"), "prepare": ("preprepare", "postprepare")}
    implied = {name for hook in hooks for name in around.get(hook, ())}
    return [h for h in hooks if h not in implied and h != "prepublish"]


def _tidy(plan: Plan, caches: bool) -> list[str]:
    """Leave in _OUTPUT what the image takes from the build: no caches, no files with tokens, and of the packages, which come
    from the layer of their own, only what the build wrote among them (a generated client, a patch).

    The packages stay where they are: removing or moving a lower layer's tree writes an entry for each of its files.
    """
    gone = [*kept.unlinked(plan.files, mounted=caches), CA_IN_CONTEXT, START_FILE, PACKAGES_FILE]
    gone += [path for path in tokens(plan.files.texts) if path.endswith("bunfig.toml")]
    steps = [f"rm -rf {' '.join(gone)}", _FORGET_TOKENS, f"mkdir -p node_modules {_OUTPUT}/node_modules"]
    if not plan.source_first:
        changed = f"find . -newer {_MARK} ! -type d -exec cp -a --parents -t {_OUTPUT}/node_modules {{}} +"
        steps.append(f"(cd node_modules && {changed})")
    return [*steps, f"find . -mindepth 1 -maxdepth 1 ! -name node_modules -exec mv -t {_OUTPUT} {{}} +"]


_FORGET_TOKENS = (
    r"find . -name node_modules -prune -o \( -name .npmrc -o -name .yarnrc.yml -o -name .yarnrc \) -exec rm -f {} +"
)


def _pages(image: str, folder: str, env_files: bool) -> str:
    """The stage of a repository whose pages are served as they stand: nothing is installed."""
    unserved = ("'.*'", "node_modules", "package.json", "package-lock.json", "Dockerfile", STATIC_FILE)
    left_out = " ".join(f"! -name {name}" for name in unserved)
    ours = f"rm -f {TOOLS_FILE} {VARS_FILE} {ADDRESS_FILE}" if env_files else "true"
    lines = [
        f"FROM {image} AS build",
        "WORKDIR /app",
        "COPY . .",
        f"RUN {ours} && mkdir -p {_SITE}/site && cp {STATIC_FILE} {_SITE} && cd ./{folder} \\",
        f" && find . -mindepth 1 -maxdepth 1 \\( -name .well-known -o {left_out} \\) -exec cp -a -t {_SITE}/site {{}} +",
    ]
    return "\n".join(lines) + "\n"


def _collect_site(plan: Plan) -> list[str]:
    assert plan.site is not None
    folders = " ".join(plan.site.folders)
    return [
        f'for folder in {folders} dist/*/browser dist/* ""; do if [ -f "$folder/index.html" ]; then break; fi; done',
        f'if [ -z "$folder" ]; then echo "the build wrote no index.html in any of: {folders}" >&2; exit 1; fi',
        f'cp -a "$folder" {_SITE}/site',
    ]


def _final(plan: Plan, env_files: bool) -> str:
    """The image's own stage. What a change of source alters comes last: the engine commits each instruction after it anew.

    EXPOSE is for people who read the file: the platform knows the port.
    """
    port = plan.port
    metadata = ["USER 1000:1000", *([] if env_files else [f"EXPOSE {port}"])]
    env = {"NODE_ENV": "production", "PORT": str(port), "HOST": "0.0.0.0", "HOSTNAME": "0.0.0.0"}
    lines = ["", f"FROM {_base(plan)}"]
    if plan.site:
        lines += [
            _env(env),
            *metadata,
            f'CMD ["node", "/app/{STATIC_FILE}", "/app/site"]',
            f"COPY --from=build --chown=1000:1000 {_SITE} /app/",
        ]
        return "\n".join(lines).lstrip() + "\n"
    env |= {"PROTOCOL_HEADER": "x-forwarded-proto", "HOST_HEADER": "x-forwarded-host", "npm_config_update_notifier": "false"}
    env |= _LINKED if plan.manager.kind is Kind.BERRY else {}
    env |= package_variables(plan.files)
    lines.append(f"{_env(env)} PATH={_path(plan)}:$PATH")
    lines += _managers_at_run(plan)
    if plan.launcher:
        lines.append(f"COPY {START_FILE} /usr/local/bin/funai-start")
    source = "production" if _production(plan, env_files) else "build" if plan.source_first else "deps"
    lines += [
        *metadata,
        f"CMD {json.dumps(_command(plan), ensure_ascii=False)}",
        f"COPY --from={source} --chown=1000:1000 /app/node_modules /app/node_modules",
        "WORKDIR /app",
        f"COPY --from=build --chown=1000:1000 {_OUTPUT} /app/",
    ]
    return "\n".join(lines).lstrip() + "\n"


def _env(values: Mapping[str, str]) -> str:
    return "ENV " + " ".join(f"{k}={quoted(v)}" for k, v in values.items())


def _path(plan: Plan) -> str:
    folders = [f"/app/{s.folder}" for s in (plan.start.steps if plan.start else ()) if s.folder]
    return ":".join(f"{f}/node_modules/.bin" for f in (*dict.fromkeys(folders), "/app"))


def _managers_at_run(plan: Plan) -> list[str]:
    """The manager itself, where the start script calls it."""
    called = plan.start.managers if plan.start else frozenset[str]()
    bun = plan.start is not None and any(s.program in ("bun", "bunx") for s in plan.start.steps)
    if not plan.manager.package or not (bun or plan.manager.command in called):
        return []
    return [
        "ARG NPM_REGISTRY",
        "ARG NODE_EXTRA_CA_CERTS",
        f"RUN {_REGISTRY}npm install --global {plan.manager.package} && rm -rf /root/.npm",
    ]


def _command(plan: Plan) -> list[str]:
    start = plan.start
    assert start is not None
    if start.plain:
        return ["sh", "-c", start.shell()]
    hooked = {"prestart", "poststart"} & set(plan.files.package.scripts)
    return ["sh", "/usr/local/bin/funai-start", "npm start" if hooked else start.script]
