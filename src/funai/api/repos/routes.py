"""The Git server's calls, behind a token of their own, and Gitea's push events, which are signed."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from funai.api.edge import PREFIX, Services, answers, core_of
from funai.api.repos.access import parse_repo
from funai.api.repos.pushes import PUSH_PATH, pushed_repo, signed
from funai.base.http.app import Reply, ok
from funai.base.http.guards import SecretGuard
from funai.contracts.accounts import GitAccess, GitAccessQuestion, GitDiscards, GitPushed, GitRepositories
from funai.contracts.errors import Unauthenticated


async def _git_guard(request: Request) -> None:
    token = core_of(request).settings.git_internal_token
    if token is None:  # not configured: shut, not open
        raise Unauthenticated()
    await SecretGuard("X-Git-Token", token)(request)


router = APIRouter(prefix=f"{PREFIX}/internal/git", tags=["internal"], dependencies=[Depends(_git_guard)])


pushes = APIRouter(tags=["internal"])


@pushes.post(PUSH_PATH, summary="Gitea's or Forgejo's push event", **answers(dict[str, int]))
async def gitea_pushed(core: Services, request: Request) -> Reply:
    secret = core.settings.gitea_webhook_secret if core.settings.gitea_enabled else None
    body = await request.body()
    if secret is None or not signed(secret.get_secret_value(), body, request.headers):
        raise Unauthenticated()
    repo = pushed_repo(body, request.headers)
    named = parse_repo(repo, core.apps.defaults) if repo else None
    if named is None:
        return ok({})
    await core.apps.pushed(*named)
    return ok({"appId": named[1]})


@router.post("/access", summary="May the holder of this key do this?", **answers(GitAccess))
async def access(core: Services, body: GitAccessQuestion) -> Reply:
    return ok(await core.gate.answer(body))


@router.post("/discards", summary="Repositories of deleted apps to remove; `done` names those removed", **answers(list[str]))
async def discards(core: Services, body: GitDiscards) -> Reply:
    return ok(await core.apart.discards(body.done) if core.apart else [])


@router.post("/repositories", summary="Every repository that the Git server has", **answers(dict[str, int]))
async def repositories(core: Services, body: GitRepositories) -> Reply:
    if core.apart:
        core.apart.told(body.repos)
    return ok({"repositories": len(body.repos)})


@router.post("/pushed", summary="A push was accepted", **answers(dict[str, int]))
async def pushed(core: Services, body: GitPushed) -> Reply:
    await core.apps.pushed(body.user_id, body.app_id)
    return ok({"appId": body.app_id})
