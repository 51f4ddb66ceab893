"""The Dockerfile of a plan."""

from __future__ import annotations

import json
from typing import Any

import pytest

from funai.contracts.errors import BadInput
from funai.dockerfile.node.files import collect, member_folders, page_folder, parse_package
from funai.dockerfile.node.plan import make_plan
from funai.dockerfile.node.render import extra_files, render, tool_variables
from tests.pure.dockerfile.node.projects import planned, starts

LOCK = {"package-lock.json": "{}"}
LOCKED_PRISMA_7 = json.dumps({"packages": {"node_modules/prisma": {"version": "7.1.0"}}})


def rendered(package: dict[str, Any], files: dict[str, str] | None = None, **options: Any) -> str:
    return render(planned(package, files), **options)


def stages(text: str) -> list[str]:
    return text.split("\nFROM ")[1:]


def test_render_has_packages_in_a_layer_of_their_own_that_sources_do_not_change() -> None:
    text = rendered(starts("node s.js", dependencies={"a": "1"}, devDependencies={"b": "1"}), LOCK)
    deps, production, build, final = stages(text)
    assert "npm ci" in deps and "COPY . ." not in deps and "npm prune --omit=dev" in production and "COPY . ." in build
    assert final.index("COPY --from=production --chown=1000:1000 /app/node_modules /app/node_modules") < final.index(
        "COPY --from=build"
    )
    assert 'CMD ["sh", "-c", "exec node s.js"]' in final and "USER 1000:1000" in final


def test_render_says_port_and_addresses_to_the_app() -> None:
    text = render(planned(starts("node s.js"), port=8080))
    assert "PORT=8080 HOST=0.0.0.0 HOSTNAME=0.0.0.0" in text and "EXPOSE 8080" in text
    assert "PROTOCOL_HEADER=x-forwarded-proto HOST_HEADER=x-forwarded-host" in text


def test_render_declares_the_platforms_arguments_for_builds_alone() -> None:
    *_, build, final = stages(rendered(starts("node s.js")))
    assert all(f"ARG {name}\n" in build for name in ("BASE_PATH", "FUNAI_URL", "FUNAI_COMMIT"))
    assert "ARG" not in final and build.index("ARG BASE_PATH") < build.index("COPY . .")


def test_render_with_files_of_variables_has_their_names_nowhere_and_keeps_them_out_of_the_image() -> None:
    *_, build, final = stages(rendered(starts("node s.js"), env_files=True))
    assert ". ./.funai-tools; . ./.funai-vars; . ./.funai-address; rm -f .funai-tools .funai-vars .funai-address" in build
    assert "ARG" not in build and ".funai" not in final


def test_render_with_files_of_variables_has_few_steps_before_the_source() -> None:
    """Each cached step costs the engine a container: what can be one step is one."""
    package = starts("vite", scripts={"build": "vite build"}, devDependencies={"vite": "6"})
    deps, build, final = stages(rendered(package, LOCK, env_files=True))
    names = [[line.split()[0] for line in part.splitlines()[1:] if line[:1].isupper()] for part in (deps, build, final)]
    assert names == [["WORKDIR", "COPY", "RUN"], ["COPY", "RUN"], ["ENV", "USER", "CMD", "COPY"]]
    assert "COPY package.json package-lock.json .funai-tools ./\nRUN . ./.funai-tools; " in deps


@pytest.mark.parametrize("lock", [{}, LOCK, {"pnpm-lock.yaml": "importers:\n"}, {"yarn.lock": "__metadata:\n"}])
def test_render_with_files_of_variables_reads_the_tools_file_before_each_manager(lock: dict[str, str]) -> None:
    package = starts("node s.js", scripts={"build": "x"}, dependencies={"a": "1"}, devDependencies={"b": "1"})
    text = rendered(package, lock, env_files=True)
    steps = [line for line in text.splitlines() if line.startswith("RUN")]
    assert steps and all(line.startswith("RUN . ./.funai-tools; ") for line in steps)


def test_render_gives_an_install_the_variables_that_npmrc_names() -> None:
    token = {".npmrc": "//npm.example.org/:_authToken=${NPM_TOKEN}\n"}
    assert "RUN . ./.funai-tools; . ./.funai-vars; " in stages(rendered(starts("node s.js"), LOCK | token, env_files=True))[0]
    assert ".funai-vars" not in stages(rendered(starts("node s.js"), LOCK, env_files=True))[0]


def test_render_runs_the_projects_own_hooks_after_its_source_came() -> None:
    hooks = {"postinstall": "patch-package", "prepare": "husky", "preprepare": "true"}
    text = rendered(starts("node s.js", scripts=hooks, dependencies={"patch-package": "8"}), LOCK | {"patches/a.patch": "x"})
    deps, build = stages(text)[:2]
    assert (
        "npm pkg delete scripts.postinstall scripts.preprepare scripts.prepare && npm ci" in deps
        and "COPY patches ./patches" in deps
    )
    assert "npm run postinstall" in build and "npm run prepare" in build and "npm run preprepare" not in build


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {"pnpm-lock.yaml": "importers:\n"},
            ["npm install --global pnpm@9", "pnpm install --frozen-lockfile", "pnpm prune --prod"],
        ),
        ({"yarn.lock": "a:\n  version 1\n"}, ["yarn install --non-interactive --production=false --frozen-lockfile", "sed -i"]),
        ({"yarn.lock": "__metadata:\n"}, ["@yarnpkg/cli-dist@4", "yarn install --immutable", "YARN_NODE_LINKER=node-modules"]),
        ({"bun.lock": "{}"}, ["npm install --global bun@1", "bun install --frozen-lockfile", "bun run build"]),
    ],
)
def test_render_uses_the_projects_manager(files: dict[str, str], words: list[str]) -> None:
    package = starts("node s.js", scripts={"build": "x"}, dependencies={"a": "1"}, devDependencies={"b": "1"})
    text = rendered(package, files)
    assert all(word in text for word in words)


def test_render_brings_the_source_first_for_other_managers_hooks_and_workspaces() -> None:
    package = starts("node s.js", scripts={"postinstall": "node gen.js"}, dependencies={"a": "1"})
    deps = stages(rendered(package, {"pnpm-lock.yaml": "importers:\n"}))[0]
    assert deps.index("COPY . .") < deps.index("pnpm install")


def test_render_of_npm_workspaces_copies_every_manifest() -> None:
    files = LOCK | {"apps/a/package.json": '{"name": "a"}', "apps/b/package.json": '{"name": "b"}'}
    text = rendered(starts("npm start -w apps/a", workspaces=["apps/*"]), files)
    assert "COPY apps/a/package.json apps/a/\nCOPY apps/b/package.json apps/b/\n" in text


def test_workspace_folders_with_names_that_builders_read_are_left_to_the_whole_source() -> None:
    package = parse_package("", json.dumps({"workspaces": ["apps/*", "!apps/no"]}))
    paths = ["apps/a/package.json", "apps/$X/package.json", "apps/no/package.json", "node_modules/x/package.json"]
    assert member_folders(package, "", paths) == ["apps/a"]
    assert member_folders(parse_package("", "{}"), "packages:\n  - 'lib/**'\n", ["lib/a/b/package.json"]) == ["lib/a/b"]


def test_render_of_a_static_site_serves_it_with_the_platforms_server() -> None:
    plan = planned({"scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}, LOCK)
    assert 'CMD ["node", "/app/funai-static.mjs", "/app/site"]' in render(plan)
    assert "cp funai-static.mjs /tmp/funai-site" in render(plan)
    assert list(extra_files(plan)) == ["funai-static.mjs"]


def test_render_of_several_processes_has_the_launcher() -> None:
    plan = planned(starts("node a.js & node b.js"))
    assert '/funai-start", "node a.js & node b.js"]' in render(plan) and list(extra_files(plan)) == ["funai-start.sh"]
    assert extra_files(planned(starts("node a.js"))) == {}


@pytest.mark.parametrize("env_files", [True, False])
def test_render_with_yarn_4_has_every_call_find_packages_in_a_folder(env_files: bool) -> None:
    """Its default, and ``nodeLinker: pnp``, would take a folder of packages for a project that was never installed."""
    package = starts("yarn node s.js", scripts={"build": "x"}, dependencies={"a": "1"})
    plan = planned(package, {"yarn.lock": "__metadata:\n", ".yarnrc.yml": "nodeLinker: pnp\n"})
    text = render(plan, env_files=env_files)
    assert tool_variables(plan)["YARN_NODE_LINKER"] == "node-modules" and "yarn run build" in text
    assert ("YARN_NODE_LINKER" in stages(text)[0]) is not env_files and "YARN_NODE_LINKER=node-modules" in stages(text)[-1]


@pytest.mark.parametrize(
    ("files", "more", "prunes"),
    [
        ({"yarn.lock": "__metadata:\n  version: 6\n"}, {}, False),
        ({"yarn.lock": "__metadata:\n"}, {"packageManager": "yarn@3.6.4"}, False),
        ({"yarn.lock": "__metadata:\n", ".yarnrc.yml": "yarnPath: .yarn/releases/yarn-2.4.3.cjs\n"}, {}, False),
        ({"yarn.lock": "__metadata:\n  version: 8\n"}, {}, True),
        ({"yarn.lock": "__metadata:\n"}, {"packageManager": "yarn@4.23.1"}, True),
        ({"bun.lock": "{}"}, {}, False),
    ],
)
def test_render_prunes_with_managers_that_can(files: dict[str, str], more: dict[str, str], prunes: bool) -> None:
    """Yarn 2 and 3 know `workspaces focus` by a plugin alone."""
    text = rendered(starts("node s.js", dependencies={"a": "1"}, devDependencies={"b": "1"}, **more), files)
    assert ("AS production" in text) is prunes


def test_render_starts_the_one_workspace_that_has_a_start_script_and_builds_it() -> None:
    web = json.dumps({"name": "@acme/web", "scripts": {"build": "next build", "start": "next start"}})
    files = LOCK | {"apps/web/package.json": web, "packages/ui/package.json": '{"name": "@acme/ui"}'}
    text = rendered({"workspaces": ["apps/*", "packages/*"]}, files)
    assert "(cd apps/web && npm run build)" in text and 'CMD ["sh", "-c", "cd /app/apps/web && exec next start"]' in text
    root = rendered({"workspaces": ["apps/*", "packages/*"], "scripts": {"build": "turbo build"}}, files)
    assert "&& npm run build" in root and "(cd apps" not in root


def test_render_of_two_workspaces_to_start_makes_no_choice() -> None:
    members = {f"apps/{name}/package.json": json.dumps(starts("node s.js")) for name in ("a", "b")}
    with pytest.raises(BadInput) as caught:
        rendered({"workspaces": ["apps/*"]}, LOCK | members)
    assert caught.value.reason == "NPM_START_MISSING"


def test_render_keeps_text_of_the_package_out_of_instructions() -> None:
    package = starts("node s.js\nRUN evil", version="1\nRUN evil", name='a"$(x)')
    lines = rendered(package).splitlines()
    assert not any(line.startswith("RUN evil") for line in lines) and not any("$(x)" in line for line in lines)


def test_an_authority_in_the_context_reaches_the_first_stages_only() -> None:
    text = rendered(starts("node s.js"), LOCK, ca_in_context=True)
    assert "COPY .funai-ca.pem /etc/funai-ca.pem" in stages(text)[0] and "funai-ca" not in stages(text)[-1]


def test_collect_answers_only_for_files_that_are_there() -> None:
    files = collect({"package.json": "\ufeff{}"}.get, ["package.json"])
    assert files.package.scripts == {} and files.members == ()


def test_render_with_caches_has_a_mount_for_the_install_and_one_for_the_build() -> None:
    package = starts("next start", scripts={"build": "next build"}, dependencies={"next": "15"}, devDependencies={"b": "1"})
    deps, production, build, final = stages(rendered(package, LOCK, caches=True))
    assert "RUN --mount=type=cache,id=funai-packages,target=/var/cache/funai-packages export npm_config_cache=" in deps
    assert "RUN --mount=type=cache,id=funai-build,target=/var/cache/funai-build " in build
    assert "--mount" not in production + final
    links = build.index("ln -s /var/cache/funai-build/.next_cache .next/cache")
    assert links < build.index("npm run build") < build.index("rm -rf .next/cache")


def test_render_without_caches_of_the_apps_own_mounts_none() -> None:
    assert "--mount" not in rendered(starts("next start", scripts={"build": "next build"}, dependencies={"next": "15"}), LOCK)


@pytest.mark.parametrize(
    ("lock", "variable"),
    [
        ("package-lock.json", "npm_config_cache="),
        ("pnpm-lock.yaml", "npm_config_store_dir="),
        ("yarn.lock", "YARN_CACHE_FOLDER="),
        ("bun.lock", "BUN_INSTALL_CACHE_DIR="),
    ],
)
def test_render_with_caches_points_each_manager_at_its_own(lock: str, variable: str) -> None:
    text = rendered(starts("node s.js", dependencies={"a": "1"}), {lock: ""}, caches=True)
    assert f"{variable}/var/cache/funai-packages/" in text


READ_FOREVER = ["**/" * 60 + "x", "*a" * 100, "*" * 200, "a*" * 100 + "b", "**/*a*a*a*a*b/**/c"]


@pytest.mark.parametrize("glob", READ_FOREVER)
def test_member_folders_of_patterns_made_to_be_read_forever_are_found_at_once(glob: str) -> None:
    paths = [f"{'/'.join(['a' * 9] * deep)}/package.json" for deep in range(1, 60)] + [f"{'a' * 900}/package.json"]
    package = parse_package("", json.dumps({"workspaces": [glob] * 1_000}))
    assert len(member_folders(package, f"packages:\n{f'  - {glob}' * 1_000}", paths * 9)) <= len(paths)


@pytest.mark.parametrize("name", ["pnpm-lock.yaml", "yarn.lock", ".nvmrc"])
def test_render_of_numbers_too_long_to_be_any_takes_the_default(name: str) -> None:
    number = "9" * 5_000
    text = {"pnpm-lock.yaml": f"lockfileVersion: {number}", "yarn.lock": f"__metadata:\n  version: {number}"}.get(name, number)
    dependencies = {f"x{n}": "1" for n in range(20_000)}
    package = starts(
        "node s.js", dependencies=dependencies, devDependencies=dependencies, engines={"node": ">=18 || " * 20_000}
    )
    assert "node:20-" in rendered(package, {name: text})


def test_render_of_lock_files_made_to_be_read_forever_ends() -> None:
    package = starts("node s.js", packageManager="yarn@3.0.0", dependencies={"x": "1"})
    for name, text in {"yarn.lock": "__metadata:" + "\n" * 500_000, ".yarnrc.yml": "\n" * 500_000}.items():
        assert rendered(package, {"yarn.lock": "__metadata:\n  version: 6\n", name: text})
    assert rendered(starts("node s.js", dependencies={"x": "1"}), {"yarn.lock": "\n" * 500_000})


def test_render_with_caches_keeps_those_of_workspaces_apart() -> None:
    member = json.dumps({"name": "web", "dependencies": {"next": "15"}})
    package = starts("node s.js", workspaces=["apps/*"], scripts={"build": "npm run build -w web"})
    text = rendered(package, {**LOCK, "apps/web/package.json": member}, caches=True)
    assert "ln -s /var/cache/funai-build/apps_web_.next_cache apps/web/.next/cache" in text
    assert "apps/web/.next/cache" in text.partition("&& npm run build")[2]


def test_render_of_astros_server_lets_forms_pass_their_origin_check() -> None:
    package = starts("node ./dist/server/entry.mjs", scripts={"build": "astro build"}, dependencies={"@astrojs/node": "9"})
    build = stages(rendered(package, LOCK))[1]
    assert (
        build.index("npm run build") < build.index('s/"allowedDomains":\\[\\]/"allowedDomains":[{}]/') < build.index("rm -rf")
    )
    assert "allowedDomains" not in rendered(starts("node s.js", scripts={"build": "astro build"}), LOCK)


@pytest.mark.parametrize(
    ("package", "files", "wanted"),
    [
        ({"dependencies": {"@prisma/client": "^6.1.0"}, "devDependencies": {"prisma": "^6.1.0"}}, LOCK, True),
        ({"dependencies": {"prisma": "latest"}}, LOCK, True),
        ({"dependencies": {"prisma": "latest"}}, {"package-lock.json": LOCKED_PRISMA_7}, False),
        ({"dependencies": {"@prisma/client": "7.0.1"}}, LOCK, False),
        ({"dependencies": {"prisma": "^7"}, "scripts": {"prestart": "prisma migrate deploy"}}, LOCK, True),
        ({"dependencies": {"express": "4"}}, LOCK, False),
    ],
)
def test_render_with_prismas_engines_stands_on_an_image_with_openssl(
    package: dict[str, Any], files: dict[str, str], wanted: bool
) -> None:
    plan = planned(starts("node s.js", **package), files)
    text = render(plan, env_files=True)
    assert (text.count("FROM system") == 2) is wanted and ("funai-packages.sh" in extra_files(plan)) is wanted
    assert ("RUN command -v openssl || sh /usr/local/bin/funai-packages openssl ca-certificates" in text) is wanted


def test_render_with_prisma_lets_the_install_see_the_mirror_of_its_engines() -> None:
    deps = stages(rendered(starts("node s.js", dependencies={"@prisma/client": "6"}), LOCK, env_files=True))[1]
    assert "COPY package.json package-lock.json .funai-tools .funai-vars ./" in deps and ". ./.funai-vars; " in deps


def test_render_with_packages_that_may_be_compiled_installs_once_more_with_compilers() -> None:
    plan = planned(starts("node s.js", dependencies={"better-sqlite3": "11"}), LOCK)
    deps, *_, final = stages(render(plan, env_files=True))
    assert (
        "|| { [ ! -e /usr/local/include/node ] || export npm_config_nodedir=/usr/local; sh /usr/local/bin/funai-packages"
        in deps
    )
    assert (
        deps.count("npm ci --include=dev") == 2 and "funai-packages" not in final and "funai-packages.sh" in extra_files(plan)
    )
    assert "funai-packages" not in stages(rendered(starts("node s.js", dependencies={"express": "4"}), LOCK))[0]


def test_render_installs_where_package_json_insists_on_another_node() -> None:
    engines = {"node": "16.x"}
    assert "npm pkg delete engines && npm ci" in rendered(starts("node s.js", engines=engines, dependencies={"a": "1"}), LOCK)
    assert "npm pkg delete" not in rendered(starts("node s.js", engines={"node": ">=18"}, dependencies={"a": "1"}), LOCK)


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["index.html", "style.css"], ""),
        (["README.md", "public/index.html"], "public/"),
        (["index.html", "requirements.txt"], None),
        (["web/index.html"], None),
    ],
)
def test_collect_without_a_package_json_is_for_pages_alone(paths: list[str], folder: str | None) -> None:
    assert page_folder(paths) == folder
    if folder is None:
        with pytest.raises(BadInput):
            collect(lambda _: None, paths)
        return
    text = render(make_plan(collect(lambda _: None, paths)), env_files=True)
    build, final = stages(text)
    assert f"cd ./{folder} " in build and "install" not in text and ".funai" not in final
    assert 'CMD ["node", "/app/funai-static.mjs", "/app/site"]' in final


def test_pages_beside_a_program_are_not_served_as_they_stand() -> None:
    page = {"index.html": "<h1>"}
    assert planned(starts("node s.js"), page).site is None
    for package in ({"dependencies": {"express": "4"}}, {"scripts": {"build": "make"}}):
        with pytest.raises(BadInput) as caught:
            planned(package, page)
        assert caught.value.reason == "NPM_START_MISSING"


@pytest.mark.parametrize("start", ["vite", "vite --host 0.0.0.0 --port 3000", "npm run dev"])
def test_render_of_a_development_server_without_a_build_script_builds_the_site(start: str) -> None:
    package = starts(start, scripts={"dev": "vite"}, devDependencies={"vite": "6"})
    plan = planned(package, LOCK)
    assert plan.site and plan.site.instead_of and "&& ./node_modules/.bin/vite build" in render(plan)
    assert planned(starts("vite", dependencies={"@remix-run/dev": "2", "vite": "6"}), LOCK).site is None


def test_render_lets_scripts_of_the_build_install_from_the_operators_registry() -> None:
    package = starts("node s.js", scripts={"build": "cd client && npm install && npm run build"})
    build = stages(rendered(package, LOCK, env_files=True))[1]
    assert (
        build.index(". ./.funai-tools") < build.index('export npm_config_registry="$NPM_REGISTRY"') < build.index("run build")
    )


@pytest.mark.parametrize(
    ("package", "folder"),
    [
        (starts("npx serve -s out", scripts={"build": "vite build"}), "out"),
        (starts("npx serve"), ""),
        (starts("http-server ./public"), "public"),
    ],
)
def test_render_of_a_file_server_that_no_package_brings_serves_the_files(package: dict[str, Any], folder: str) -> None:
    plan = planned(package, {**LOCK, "index.html": "", "public/index.html": ""})
    assert plan.site and plan.site.folders[0] == folder and "funai-static.mjs" in render(plan)
    own = {**package, "dependencies": {"serve": "14", "http-server": "14"}}
    assert planned(own, {**LOCK, "index.html": "", "public/index.html": ""}).site is None


@pytest.mark.parametrize(
    ("scripts", "command"),
    [
        ({"build": "tsc --noEmit && vite build"}, "sh -c 'tsc --noEmit && exec vite build'"),
        ({"build": "cross-env A=b next build", "prebuild": "rimraf .next"}, "sh -c 'rimraf .next && exec env A=b next build'"),
        ({"build": "npm run types && vite build", "types": "tsc"}, "sh -c 'tsc && exec vite build'"),
        ({"build": "nest build"}, None),
        ({"build": "vite build", "postbuild": "node x.js"}, None),
        ({"build": "vite build; echo $(date)"}, None),
        ({"build": "turbo run build"}, None),
        ({"build": "vite build\nRUN evil"}, None),
        ({"build": "vite build > log"}, None),
    ],
)
def test_render_for_a_build_leaves_the_package_manager_out_where_it_only_starts_tools(
    scripts: dict[str, str], command: str | None
) -> None:
    text = rendered(starts("node s.js", scripts=scripts), LOCK, env_files=True)
    told = "INIT_CWD=/app npm_lifecycle_event=build npm_package_name=shop npm_package_version=1.2.3"
    if command is None:
        assert "&& npm run build" in text
    else:
        assert f"&& {told} PATH=/app/node_modules/.bin:$PATH {command} " in text and "npm run" not in text
    assert "&& npm run build" in rendered(starts("node s.js", scripts=scripts), LOCK)
