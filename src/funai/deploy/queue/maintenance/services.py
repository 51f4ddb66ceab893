"""All maintenance of the queue, composed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from funai.deploy.queue.maintenance.backlog import Backlog
from funai.deploy.queue.maintenance.ending import Ender
from funai.deploy.queue.maintenance.event_pruner import EventConfig, EventPruner
from funai.deploy.queue.maintenance.gauges import Gauges
from funai.deploy.queue.maintenance.limits import LimitsConfig, TimeLimits
from funai.deploy.queue.maintenance.ownerless import OwnerlessConfig, OwnerlessPruner
from funai.deploy.queue.maintenance.promoter import Promoter
from funai.deploy.queue.maintenance.pruner import PruneConfig, Pruner
from funai.deploy.queue.maintenance.rescuer import RescueConfig, Rescuer
from funai.deploy.queue.maintenance.tender import Tender
from funai.deploy.queue.metrics import JobMetrics
from funai.deploy.queue.store import JobStore
from funai.deploy.queue.waiters import Waiters
from funai.deploy.settings import DeploySettings


@dataclass
class QueueMaintenance:
    ender: Ender
    tender: Tender
    pruner: Pruner
    backlog: Backlog
    ownerless: OwnerlessPruner
    events: EventPruner
    gauges: Gauges

    def start(self, tasks: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        for service in (self.tender, self.pruner, self.backlog, self.ownerless, self.events):
            service.start(tasks, stop)


def assemble(store: JobStore, settings: DeploySettings, waiters: Waiters, metrics: JobMetrics) -> QueueMaintenance:
    """Nothing runs yet. Set ``ender.on_ended`` to be called for jobs that end here."""
    ender, pruner = Ender(store), Pruner(store.db, PruneConfig(settings.keep_per_app))
    rescue = RescueConfig(settings.max_attempts, int(settings.retry_backoff_seconds * 1000))
    tender = Tender(
        store,
        waiters,
        Rescuer(store, rescue, ender, waiters, metrics),
        TimeLimits(ender, LimitsConfig(settings.max_running_seconds, settings.max_waiting_seconds)),
        Promoter(store),
        every=min(settings.sweep_seconds, settings.poll_ms / 1000),
    )
    return QueueMaintenance(
        ender=ender,
        tender=tender,
        pruner=pruner,
        backlog=Backlog(store.db, pruner),
        ownerless=OwnerlessPruner(store.db, OwnerlessConfig()),
        events=EventPruner(store.db, store.events, EventConfig(settings.event_keep_days)),
        gauges=Gauges(store, waiters, metrics),
    )
