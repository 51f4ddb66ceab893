"""Databases of apps: one an app and kind, made, measured, backed up and dropped by the agent.

::

    settings.py   RUNTIME_MONGO_*, RUNTIME_POSTGRES_*, quotas and backups
    contract.py   what a driver does (create, credentials, drop, dump, restore, size)
    names.py      database names, derived passwords, URLs; pure
    mongo.py      MongoDB through pymongo;   mongo_dump.py  its stream format
    postgres.py   PostgreSQL through asyncpg, pg_dump and pg_restore
    service.py    what an app gets at each deploy and start, and what people ask for
    quota.py      measures, and takes the right to write away
    backups.py    the folder of backups, its schedule and retention
    orphans.py    databases whose app is no more
    explorer.py   the Mongo explorer
"""
