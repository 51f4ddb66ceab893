"""Databases by setting: which drivers there are, and where apps must be let through to."""

from __future__ import annotations

import asyncio
import importlib
import socket
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from funai.agent.apps import Apps
from funai.agent.databases.backups import Backups
from funai.agent.databases.contract import Driver
from funai.agent.databases.ledger import Ledger
from funai.agent.databases.orphans import OrphanSweep
from funai.agent.databases.service import Databases
from funai.agent.http.databases import DatabaseParts
from funai.agent.node import Node
from funai.agent.settings import RuntimeSettings
from funai.base.observability import log
from funai.contracts.apps.databases import Kind

_MODULES = {Kind.MONGO: ("mongodb.driver", "MongoDriver"), Kind.POSTGRES: ("postgresql.driver", "PostgresDriver")}


async def open_databases(settings: RuntimeSettings) -> Databases:
    """Connects nowhere yet: a server may come later."""
    wanted = [kind for kind, on in ((Kind.MONGO, settings.mongo_host), (Kind.POSTGRES, settings.postgres_url)) if on]
    drivers: list[Driver] = []
    for kind in wanted:
        module, name = _MODULES[kind]
        # Loaded where it is used: a driver costs every other agent memory and start-up time.
        drivers.append(getattr(importlib.import_module(f"funai.agent.databases.{module}"), name)(settings))
    ledger = Ledger(settings.journal_folder / "databases.json" if settings.journal_folder else None)
    await asyncio.to_thread(ledger.load)
    backups = Backups(_backup_folder(settings), settings.backup_keep)
    return Databases(drivers, backups, ledger, settings.database_quota)


def _backup_folder(settings: RuntimeSettings) -> Path | None:
    if settings.backup_dir:
        return Path(settings.backup_dir)
    return settings.journal_folder / "backups" if settings.journal_folder else None


async def reachable(databases: Databases) -> list[str]:
    """``address:port`` of every server, for the firewall: apps reach it though it may be on this host or a denied one."""
    found: list[str] = []
    for driver in databases.drivers.values():
        host, port = driver.address
        try:
            loop = asyncio.get_running_loop()
            answers = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM)
        except OSError as e:
            log.get("databases").warning("database.address_unknown", kind=driver.kind, host=host, why=str(e))
            continue
        addresses = {str(answer[4][0]) for answer in answers}
        if any(isinstance(a := ip_address(text), IPv4Address) and a.is_loopback for text in addresses):
            log.get("databases").warning(
                "database.on_loopback", kind=driver.kind, consequence="apps in containers can't reach it"
            )
        found += [f"{address}:{port}" for address in sorted(addresses)]
    return found


def database_parts(settings: RuntimeSettings, node: Node, apps: Apps, databases: Databases) -> DatabaseParts:
    """What the agent's calls about databases open to."""
    mongo = databases.drivers.get(Kind.MONGO)
    explorer = importlib.import_module("funai.agent.databases.mongodb.explorer").Explorer(mongo) if mongo else None
    return DatabaseParts(databases, OrphanSweep(node, apps, databases), explorer, settings.orphan_grace_hours)
