"""The queue's SQL, built once for a dialect and a clock.

Statuses stand as literals: a partial index is only used when the planner can see that the condition holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    Insert,
    Integer,
    ScalarSelect,
    Select,
    String,
    Update,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from funai.base.db.engine import Dialect
from funai.contracts.apps.domains import DomainState
from funai.contracts.states import JobStatus
from funai.deploy.queue.transitions import Claimable
from funai.deploy.tables import domain, job, job_log, placement, runtime_node

if TYPE_CHECKING:
    Query = Select[*tuple[Any, ...]]

VIEW_COLUMNS = [c for c in job.c if c.name not in ("create_time", "update_time")]


def word(value: str) -> ColumnElement[str]:
    """A constant the planner can see. Only for our own words."""
    return literal_column(f"'{value}'")


def status_is(status: JobStatus) -> ColumnElement[bool]:
    return job.c.status == word(status)


PENDING = status_is(JobStatus.PENDING)
RUNNING = status_is(JobStatus.RUNNING)
ACTIVE = job.c.status.in_([word("PENDING"), word("RUNNING")])
ENDED = job.c.status.not_in([word("PENDING"), word("RUNNING")])
_NOW = literal_column(str(int(Claimable.NOW)), Integer)
CLAIMABLE = and_(PENDING, job.c.claimable == _NOW)
NOT_CLAIMABLE = and_(PENDING, job.c.claimable != _NOW)  # as the partial index says it
WAITS_FOR_NODE = and_(NOT_CLAIMABLE, job.c.claimable == literal_column(str(int(Claimable.WAITS_FOR_NODE))))
BACKS_OFF = and_(NOT_CLAIMABLE, job.c.claimable == literal_column(str(int(Claimable.BACKS_OFF))))
NEW_COLUMNS = (
    "type",
    "app_id",
    "user_id",
    "status",
    "payload_json",
    "env_sealed",
    "idempotency_key",
    "request_hash",
    "trace_id",
    "turn",
    "target_node_id",
    "created_ms",
    "updated_ms",
)
"""What a job is created with; the rest of its row is what the table says."""

NEXT_FEW = 8
"""Number of waiting jobs that show where the line is when nothing is served."""

HOME = select(placement.c.node_id).where(placement.c.app_id == job.c.app_id).scalar_subquery()
"""Where the job's app lives."""


class Statements:
    """Bound parameters are named ``p_…``. ``now`` is the database's clock in epoch milliseconds."""

    def __init__(self, dialect: Dialect, now: ColumnElement[int]) -> None:
        self.dialect, self.now = dialect, now
        self.view = _view(job.c.id == bindparam("p_id"))
        self.raw = select(*VIEW_COLUMNS, now.label("now_ms")).where(job.c.id == bindparam("p_id"))
        self.by_key = select(*VIEW_COLUMNS).where(job.c.idempotency_key == bindparam("p_key"))
        self.latest = _view(None).order_by(job.c.id.desc()).limit(bindparam("p_limit"))
        self.by_app = _view(job.c.app_id == bindparam("p_app")).order_by(job.c.id.desc()).limit(bindparam("p_limit"))
        self.active = select(*VIEW_COLUMNS).where(job.c.app_id == bindparam("p_app"), ACTIVE).limit(1)
        self.ended_of_app = select(job.c.id).where(job.c.app_id == bindparam("p_app"), ENDED)
        self.create = self._create()
        self.turns = self._turns()
        self.last_turn = _last_turn(now)
        self.position = self._position()
        self.head = select(job.c.id).where(CLAIMABLE).order_by(job.c.turn, job.c.id).limit(bindparam("p_limit"))
        self.claim = self._claim()
        self.claim_pick = self._claim_pick()
        self.block = self._block()
        self.aim = self._set().values(target_node_id=bindparam("p_target")).where(job.c.id == bindparam("p_id"))
        self.aim_waiting = (
            self._set()
            .values(target_node_id=bindparam("p_target"), claimable=int(Claimable.NOW))
            .where(job.c.app_id == bindparam("p_app"), PENDING, job.c.target_node_id.is_(None))
        )
        self.place = self._set().values(node_id=bindparam("p_node")).where(job.c.id == bindparam("p_id"))
        self.heartbeat = {token: self._heartbeat(token) for token in (True, False)}
        self.report = {token: self._report(token) for token in (True, False)}
        self.finish = self._finish()
        self.due = self._due()
        self.lapsed = self._lapsed()
        self.rescue = self._rescue()
        self.overdue = self._overdue()
        self.wait_timed_out = self._wait_timed_out()
        self.waits_for_node = self._promotable(WAITS_FOR_NODE)
        self.backs_off = self._promotable(BACKS_OFF)
        self.promote = (
            self._set()
            .values(claimable=int(Claimable.NOW))
            .where(job.c.id.in_(bindparam("p_ids", expanding=True)), NOT_CLAIMABLE)
        )

    def _set(self) -> Update:
        """An update that leaves its mark; ``version`` also makes MySQL count a row that otherwise stays the same."""
        return update(job).values(updated_ms=self.now, version=func.coalesce(job.c.version, 0) + 1)

    def _create(self) -> Insert:
        """A new job; answers its id, where the database can answer an INSERT."""
        given: dict[str, Any] = {name: bindparam(f"p_{name}") for name in NEW_COLUMNS}
        plain: dict[str, Any] = {c.name: c.default.arg for c in job.c if isinstance(c.default, ScalarElementColumnDefault)}
        new = insert(job).inline().values(plain | given)
        return new.returning(job.c.id) if self.dialect.returns_rows else new

    def _turns(self) -> Query:
        """What is served now: the line's head, and the furthest that runs; the least of the next few that wait outside it;
        and the user's last turns. Each is the end of an index, whatever its length, or the few rows that run."""
        oldest = select(job.c.turn).where(CLAIMABLE).order_by(job.c.turn, job.c.id).limit(1).scalar_subquery()
        runs = select(func.max(job.c.turn)).where(RUNNING).scalar_subquery()
        active = [ACTIVE] if self.dialect.partial_indexes else [PENDING, RUNNING]  # elsewhere the index leads with the status
        mine = job.c.user_id == bindparam("p_user")
        last = [select(job.c.turn).where(mine, a).order_by(job.c.turn.desc()).limit(1).scalar_subquery() for a in active]
        served = (oldest.label("oldest"), runs.label("runs"))
        waits = [_least_turn(which).label(f"waits{n}") for n, which in enumerate((WAITS_FOR_NODE, BACKS_OFF))]
        return select(self.now.label("now_ms"), *served, *waits, *(q.label(f"last{n}") for n, q in enumerate(last)))

    def _position(self) -> Query:
        turn, id_ = bindparam("p_turn", type_=BigInteger), bindparam("p_id", type_=BigInteger)
        ahead = (
            select(job.c.id)
            .where(CLAIMABLE, job.c.turn <= turn, or_(job.c.turn < turn, job.c.id < id_))  # the first bounds the index
            .order_by(job.c.turn, job.c.id)
            .limit(bindparam("p_limit"))
            .subquery()
        )
        return select(func.count().label("ahead")).select_from(ahead)

    def _taken(self) -> dict[str, Any]:
        """What a claim writes."""
        return {
            "status": JobStatus.RUNNING.value,
            "runner_id": bindparam("p_runner"),
            "attempt": job.c.attempt + 1,
            "lease_token": bindparam("p_token"),
            "lease_expire_at": self.now + bindparam("p_lease"),
            "started_ms": self.now,
            "node_id": func.coalesce(HOME, job.c.node_id),
            "log_next": 0,
            "phase": None,
            "phase_message": None,
        }

    def _claim(self) -> Update:
        """SQLite and PostgreSQL: one statement. Rows another claimer is taking are skipped, not waited for."""
        head = select(job.c.id).where(CLAIMABLE).order_by(job.c.turn, job.c.id).limit(1)
        if self.dialect.skips_locked_in_updates:
            head = head.with_for_update(skip_locked=True)
        taken = self._set().values(**self._taken()).where(job.c.id == head.scalar_subquery())
        return taken.returning(*VIEW_COLUMNS)

    def _claim_pick(self) -> tuple[Query, Update]:
        """MySQL and MariaDB: lock the head, then take it; no UPDATE … RETURNING there."""
        pick = (
            select(*VIEW_COLUMNS, self.now.label("now_ms"), HOME.label("home_id"))
            .where(CLAIMABLE)
            .order_by(job.c.turn, job.c.id)
            .limit(1)
            .with_for_update(of=job, skip_locked=True)
        )
        given = {"lease_expire_at": "p_lease_at", "started_ms": "p_now", "node_id": "p_node"}
        values: dict[str, Any] = self._taken() | {column: bindparam(name) for column, name in given.items()}
        take = self._set().values(**values, updated_ms=bindparam("p_now")).where(job.c.id == bindparam("p_id"))
        return pick, take

    def _block(self) -> Update:
        """Undo a claim whose job found no node: its attempt was none."""
        return (
            self._set()
            .values(
                status=JobStatus.PENDING.value,
                claimable=int(Claimable.WAITS_FOR_NODE),
                attempt=job.c.attempt - 1,
                runner_id=None,
                lease_token=None,
                lease_expire_at=None,
                started_ms=None,
                wait_reason=bindparam("p_reason"),
                waiting_since_ms=func.coalesce(job.c.waiting_since_ms, self.now),
                available_at_ms=self.now + bindparam("p_delay"),
            )
            .where(job.c.id == bindparam("p_id"))
        )

    def _held(self, token: bool) -> ColumnElement[bool]:
        """The fence. Without a token only an unexpired lease of the same runner counts."""
        mine = and_(job.c.id == bindparam("p_id"), RUNNING, job.c.runner_id == bindparam("p_runner"))
        return and_(mine, job.c.lease_token == bindparam("p_token") if token else job.c.lease_expire_at > self.now)

    def _heartbeat(self, token: bool) -> Update:
        values: dict[str, Any] = {
            "lease_expire_at": self.now + bindparam("p_extend"),
            "phase": func.coalesce(bindparam("p_phase", type_=String), job.c.phase),
            "phase_message": case(
                (bindparam("p_phase", type_=String).is_not(None), bindparam("p_message", type_=String)),
                else_=func.coalesce(bindparam("p_message", type_=String), job.c.phase_message),
            ),
        }
        return self._answering(self._set().values(**values).where(self._held(token)))

    def _ended(self) -> dict[str, Any]:
        return {
            "status": bindparam("p_status"),
            "error_message": bindparam("p_error"),
            "failure_code": bindparam("p_code"),
            "failure_blame": bindparam("p_blame"),
            "reason": bindparam("p_reason"),
            "finished_ms": self.now,
            "lease_expire_at": None,
        }

    def _report(self, token: bool) -> Update:
        return self._answering(self._set().values(**self._ended(), result_json=bindparam("p_result")).where(self._held(token)))

    def _answering(self, change: Update) -> Any:
        """The change with the view of its row as its answer, in one statement; MySQL and MariaDB have no UPDATE … RETURNING."""
        return change.returning(*VIEW_COLUMNS, *_node_of_job()) if self.dialect.returns_rows else change

    def _finish(self) -> Update:
        """Ends a job from outside its runner; guarded by the status and attempt that were read."""
        return (
            self._set()
            .values(**self._ended(), cancel_requested=bindparam("p_cancel"))
            .where(
                job.c.id == bindparam("p_id"),
                job.c.status == bindparam("p_source"),
                job.c.attempt == bindparam("p_attempt"),
            )
        )

    def _due(self) -> Query:
        """One cheap look: is there anything for maintenance, or for runners that wait?

        Each answer is the least of a few rows or the first of an index: ``EXISTS (… <= clock_timestamp())`` would let
        PostgreSQL, which can't estimate its clock, read the whole table in the hope of an early hit.
        """
        lease = select(func.min(job.c.lease_expire_at)).where(RUNNING).scalar_subquery()
        started = select(func.min(job.c.started_ms)).where(RUNNING).scalar_subquery()
        looked = {
            "lapsed": lease < self.now,
            "long": started < self.now - bindparam("p_max_running"),
            "waiting": _first(WAITS_FOR_NODE) <= self.now,
            "backed_off": _first(BACKS_OFF) <= self.now,
            "work": select(job.c.id).where(CLAIMABLE).order_by(job.c.turn, job.c.id).limit(1).scalar_subquery().is_not(None),
        }
        return select(*(case((due, 1), else_=0).label(name) for name, due in looked.items()))

    def _lapsed(self) -> Query:
        columns = (job.c.id, job.c.app_id, job.c.attempt, job.c.runner_id)
        return select(*columns).where(RUNNING, job.c.lease_expire_at < self.now).order_by(job.c.id).limit(100)

    def _rescue(self) -> Update:
        """Back to PENDING; the guard says that this very attempt is still lapsed."""
        values: dict[str, Any] = {
            "status": JobStatus.PENDING.value,
            "claimable": bindparam("p_claimable"),
            "wait_reason": bindparam("p_reason"),
            "waiting_since_ms": None,
            "available_at_ms": self.now + bindparam("p_delay"),
            "runner_id": None,
            "lease_token": None,
            "lease_expire_at": None,
            "started_ms": None,
        }
        return (
            self._set()
            .values(**values)
            .where(
                job.c.id == bindparam("p_id"),
                RUNNING,
                job.c.attempt == bindparam("p_attempt"),
                job.c.lease_expire_at < self.now,
            )
        )

    def _overdue(self) -> Query:
        limit = self.now - bindparam("p_max_running")
        return select(*VIEW_COLUMNS).where(RUNNING, job.c.started_ms < limit).order_by(job.c.id).limit(100)

    def _wait_timed_out(self) -> Query:
        """Jobs whose wait for a node timed out."""
        due = and_(WAITS_FOR_NODE, job.c.available_at_ms <= self.now)
        waited = job.c.waiting_since_ms < self.now - bindparam("p_max_waiting")
        return select(*VIEW_COLUMNS).where(due, waited).order_by(*_BY_TIME).limit(100)

    def _promotable(self, which: ColumnElement[bool]) -> Query:
        due = select(job.c.id).where(which, job.c.available_at_ms <= self.now + bindparam("p_early"))
        return due.order_by(*_BY_TIME).limit(bindparam("p_limit"))


_BY_TIME = (job.c.claimable, job.c.available_at_ms, job.c.id)
"""The order in which waiting jobs go on."""


def _first(which: ColumnElement[bool]) -> ScalarSelect[int]:
    """When the first waiting job may go on."""
    return select(job.c.available_at_ms).where(which).order_by(*_BY_TIME).limit(1).scalar_subquery()


def _last_turn(now: ColumnElement[int]) -> Query:
    """The end of the line: where a new job goes in plain order. Not 0 while jobs from a fair order are left."""
    last = select(job.c.turn).where(CLAIMABLE).order_by(job.c.turn.desc(), job.c.id.desc()).limit(1).scalar_subquery()
    return select(now.label("now_ms"), last.label("last"))


def _least_turn(which: ColumnElement[bool]) -> ScalarSelect[int]:
    """Of the next few that go on: who goes on first is who tried last, not whose turn is next."""
    few = select(job.c.turn).where(which).order_by(*_BY_TIME).limit(NEXT_FEW).subquery()
    return select(func.min(few.c.turn)).scalar_subquery()


def prune_candidates() -> Query:
    """Jobs of an app older than its newest ``p_keep``."""
    newest = select(job.c.id).where(job.c.app_id == bindparam("p_app")).order_by(job.c.id.desc())
    old = newest.limit(bindparam("p_limit")).offset(bindparam("p_keep")).subquery()
    return select(job.c.id).where(job.c.id.in_(select(old.c.id)), ENDED)


def ownerless_candidates() -> Query:
    """Finished jobs that are no app's, but the newest ``p_keep``; found by the index over apps, where they stand together."""
    ended = select(job.c.id).where(job.c.app_id.is_(None), ENDED).order_by(job.c.id.desc())
    return ended.limit(bindparam("p_limit")).offset(bindparam("p_keep"))


def prune() -> tuple[Delete, ...]:
    """Jobs by id with their logs; the audit trail stays."""
    ids = bindparam("p_ids", type_=BigInteger, expanding=True)
    return delete(job_log).where(job_log.c.job_id.in_(ids)), delete(job).where(job.c.id.in_(ids))


_NODE: dict[str, ColumnElement[Any]] = {
    "node_name": runtime_node.c.name,
    "node_agent": runtime_node.c.agent_base_url,
    "node_gateway": runtime_node.c.gateway_base_url,
    "node_apps_url": runtime_node.c.apps_url,
}


NODE_STATE = ("enabled", "weight", "last_heartbeat_ms", "disk_free_pct", "disk_free_bytes", "container_count")


def _node_of_job() -> list[ColumnElement[Any]]:
    """What the view tells of the job's node, where no join can be: an UPDATE's answer."""
    return [select(c).where(runtime_node.c.id == job.c.node_id).scalar_subquery().label(name) for name, c in _NODE.items()]


def own_url_of(app_id: ColumnElement[Any]) -> ScalarSelect[Any]:
    """The app's own domain that is served longest, as an address."""
    served = and_(domain.c.app_id == app_id, domain.c.alias == 0, domain.c.state == DomainState.ACTIVE.value)
    return select(domain.c.url).where(served).order_by(domain.c.active_ms, domain.c.name).limit(1).scalar_subquery()


def alias_of(app_id: ColumnElement[Any]) -> ScalarSelect[Any]:
    """The app's readable label."""
    return select(domain.c.name).where(domain.c.app_id == app_id, domain.c.alias == 1).limit(1).scalar_subquery()


def _view(where: ColumnElement[bool] | None) -> Query:
    node = (column.label(name) for name, column in _NODE.items())
    state = (runtime_node.c[name].label(f"node_{name}") for name in NODE_STATE)
    found = select(*VIEW_COLUMNS, *node, *state, own_url_of(job.c.app_id).label("own_url")).select_from(
        job.outerjoin(runtime_node, runtime_node.c.id == job.c.node_id)
    )
    return found if where is None else found.where(where)
