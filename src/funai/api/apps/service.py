"""The app registry: names, quota, what an app looks like to people."""

from __future__ import annotations

import unicodedata

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from funai.api.compat import workspace
from funai.api.deploys.policy import Defaults
from funai.api.models import AppRow, app_of, first_app, lock_user, now_ms
from funai.api.repos.repositories import Repositories
from funai.api.tables import apps
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.contracts.accounts import App, CreateApp, Serving, UpdateApp
from funai.contracts.errors import BadInput, Conflict, NotFound
from funai.contracts.reasons import Reason
from funai.contracts.states import AppStatus
from funai.contracts.wire import from_epoch_ms
from funai.i18n.reasons import Words

UNNAMED = "未命名应用"
MAX_NAME = 64
DEPLOYED = (AppStatus.DEPLOYING, AppStatus.READY, AppStatus.FAILED)


class Apps:
    def __init__(
        self, db: Database, clock: Clock, defaults: Defaults, repos: Repositories, *, limit: int, longest: int = 2_000
    ) -> None:
        """``limit``: apps of each user. ``longest``: characters of a description."""
        self.db, self.clock, self.defaults, self.repos, self.limit = db, clock, defaults, repos, limit
        self.longest = longest

    async def create(self, user_id: int, asked: CreateApp) -> App:
        """Register an app and make its repository, later if its host is away.

        Raises BadInput, Conflict QUOTA_APPS or APP_NAME_TAKEN.
        """
        name = asked.app_name
        given = clean_name(name) if name and name.strip() else None
        at = now_ms(self.clock)
        row: dict[str, object] = {
            "user_id": user_id,
            "description": clean_text(asked.described, self.longest),
            "app_type": asked.app_type,
            "app_key": asked.app_key,
            "status": int(AppStatus.CREATED),
            "create_time": at,
            "update_time": at,
            **self.repos.first_try(),
        }
        try:
            async with self.db.write() as conn:
                if await lock_user(conn, user_id) is None:
                    raise NotFound(Reason.USER_NOT_FOUND)
                counted = select(func.count()).select_from(apps).where(apps.c.user_id == user_id, apps.c.deleting == 0)
                if int((await conn.execute(counted)).scalar_one()) >= self.limit:
                    raise Conflict(Reason.QUOTA_APPS, limit=self.limit)
                names = (await conn.execute(select(apps.c.app_name).where(apps.c.user_id == user_id))).scalars()
                row["app_name"] = given or default_name(set(names))
                made = (await conn.execute(insert(apps).values(row))).inserted_primary_key
        except IntegrityError as e:
            raise Conflict(Reason.APP_NAME_TAKEN) from e
        assert made is not None
        app_id = int(made[0])
        await self.repos.make(await self.own(user_id, app_id))
        return self.wire(await self.own(user_id, app_id))

    async def own(self, user_id: int, app_id: int) -> AppRow:
        """The app's row. Raises NotFound for one that isn't there, isn't theirs or is being deleted."""
        row = await self.db.fetch_one(select(apps).where(apps.c.id == app_id, apps.c.user_id == user_id, apps.c.deleting == 0))
        if row is None:
            raise NotFound(Reason.APP_NOT_FOUND)
        return app_of(row)

    async def find(self, app_id: int) -> AppRow | None:
        """Any app's row, without an ownership check: for the platform's own use."""
        row = await self.db.fetch_one(select(apps).where(apps.c.id == app_id, apps.c.deleting == 0))
        return app_of(row) if row else None

    async def rows(self, user_id: int) -> list[AppRow]:
        """All of a user's apps, newest first."""
        mine = select(apps).where(apps.c.user_id == user_id, apps.c.deleting == 0).order_by(apps.c.id.desc())
        return [app_of(r) for r in await self.db.fetch_all(mine)]

    async def ids(self) -> list[int]:
        """Every app that there is, those being deleted too."""
        return await app_ids(self.db)

    async def page(self, after: int, limit: int) -> list[AppRow]:
        """Every user's apps by id, for an operator."""
        found = select(apps).where(apps.c.id > after, apps.c.deleting == 0).order_by(apps.c.id).limit(limit)
        return [app_of(r) for r in await self.db.fetch_all(found)]

    async def update(self, user_id: int, app_id: int, asked: UpdateApp) -> App:
        """Change what is given. Raises NotFound, BadInput, Conflict APP_NAME_TAKEN."""
        values: dict[str, object] = {}
        if asked.app_name is not None:
            values["app_name"] = clean_name(asked.app_name)
        if asked.described is not None:
            values["description"] = clean_text(asked.described, self.longest)
        values |= {k: v for k, v in (("app_type", asked.app_type), ("app_key", asked.app_key)) if v is not None}
        await self.own(user_id, app_id)
        if values:
            mine = (apps.c.id == app_id, apps.c.user_id == user_id, apps.c.deleting == 0)
            try:
                async with self.db.write() as conn:
                    await conn.execute(update(apps).where(*mine).values(update_time=now_ms(self.clock), **values))
            except IntegrityError as e:
                raise Conflict(Reason.APP_NAME_TAKEN) from e
        return self.wire(await self.own(user_id, app_id))

    async def pushed(self, user_id: int, app_id: int) -> None:
        """The app has source now. Asked again, or for an app that is gone, it changes nothing."""
        fresh = (apps.c.id == app_id, apps.c.user_id == user_id, apps.c.status == int(AppStatus.CREATED))
        async with self.db.write() as conn:
            await conn.execute(
                update(apps).where(*fresh).values(status=int(AppStatus.UPLOADED), update_time=now_ms(self.clock))
            )
            # A deploy that is under way would otherwise go back to "nothing pushed" when it is cancelled.
            under_way = (apps.c.id == app_id, apps.c.user_id == user_id, apps.c.prev_status == int(AppStatus.CREATED))
            await conn.execute(update(apps).where(*under_way).values(prev_status=int(AppStatus.UPLOADED)))

    async def set_disabled(self, app_id: int, disabled: bool) -> App:
        """An operator's word. Raises NotFound, Conflict APP_DEPLOYING. What serves must have been stopped before."""
        at = now_ms(self.clock)
        async with self.db.write() as conn:
            row = await first_app(conn, select(apps).where(apps.c.id == app_id, apps.c.deleting == 0).with_for_update())
            if row is None:
                raise NotFound(Reason.APP_NOT_FOUND)
            if row.status == AppStatus.DEPLOYING:
                raise Conflict(Reason.APP_DEPLOYING)
            if disabled:
                values = {"status": int(AppStatus.DISABLED), "slot": 0, "serving": 0}
            elif row.status == AppStatus.DISABLED:
                values = {"status": int(AppStatus.UPLOADED)}
            else:
                values = {}
            await conn.execute(update(apps).where(apps.c.id == app_id).values(update_time=at, **values))
            changed = await first_app(conn, select(apps).where(apps.c.id == app_id))
        assert changed is not None
        return self.wire(changed)

    def wire(self, row: AppRow) -> App:
        status = row.status
        url = self.defaults.public(row.deploy_url) if status is AppStatus.READY else None
        return App(
            id=row.id,
            user_id=row.user_id,
            app_name=row.app_name,
            app_status=status,
            description=row.description,
            app_description=row.description,
            app_type=row.app_type,
            app_key=row.app_key,
            repo_ssh_url=self.defaults.repo_url(row.user_id, row.id),
            repo_status=self.repos.status(row),
            container_port=row.container_port,
            last_job_id=row.job_id,
            last_deploy_error=row.last_error if status is AppStatus.FAILED else None,
            deploy_access_url=url,
            serving=self._serving(row) if status is not AppStatus.DISABLED else None,
            access_url=(self.defaults.public(row.access_url) or url) if url else None,
            created_at=from_epoch_ms(row.create_time),
            updated_at=from_epoch_ms(row.update_time),
            **workspace.fields(row.workspace_json),
        )

    def _serving(self, row: AppRow) -> Serving | None:
        return Serving(address=self.defaults.public(row.access_url or row.deploy_url)) if row.serving else None


async def app_ids(db: Database) -> list[int]:
    return [int(row["id"]) for row in await db.fetch_all(select(apps.c.id).order_by(apps.c.id))]


def clean_name(name: str) -> str:
    """Trimmed and in Unicode's composed form. Raises BadInput APP_NAME_INVALID."""
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(cleaned) <= MAX_NAME or any(map(_unfit, cleaned)) or not any(map(_visible, cleaned)):
        raise BadInput(Reason.APP_NAME_INVALID)
    return cleaned


def _unfit(c: str) -> bool:
    """What turns the reading direction around or shows nothing would let one name pass for another."""
    category = unicodedata.category(c)
    return category in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") or (category == "Cf" and not _joins(c))


def _joins(c: str) -> bool:
    """Joiners and tags are parts of emoji and of some scripts."""
    return c in "\u200c\u200d" or "\U000e0020" <= c <= "\U000e007f"


def _visible(c: str) -> bool:
    return unicodedata.category(c) not in ("Cf", "Mn", "Me", "Zs") and c not in "\u115f\u1160\u3164\uffa0"


def clean_text(text: str | None, longest: int) -> str | None:
    """Free text that any database can keep: no NUL, no half characters. Raises BadInput."""
    if text is None:
        return None
    if len(text) > longest:
        raise BadInput(detail=Words(f"description 超过 {longest} 个字符", f"description: over {longest} characters"))
    if any(unicodedata.category(c) == "Cs" or (c < " " and c not in "\n\r\t") for c in text):
        raise BadInput(detail=Words("description 含有控制字符", "description: has control characters"))
    return text.strip()


def default_name(taken: set[str]) -> str:
    """The first of 未命名应用1, 未命名应用2, … that is free."""
    number = 1
    while f"{UNNAMED}{number}" in taken:
        number += 1
    return f"{UNNAMED}{number}"
