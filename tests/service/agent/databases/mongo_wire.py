"""What goes over the wire to MongoDB: a proxy that records each command, and the commands' published forms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import bson

OP_MSG, HEADER, FLAGS_AND_KIND = 2013, 16, 5
OF_EVERY_COMMAND = {"$db", "lsid", "$clusterTime", "$readPreference", "txnNumber", "maxTimeMS", "writeConcern", "comment"}
"""Fields that MongoDB takes with any command, and its drivers add."""

PUBLISHED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "createUser": {
        "createUser": str,
        "pwd": str,
        "customData": dict,
        "roles": list,
        "authenticationRestrictions": list,
        "mechanisms": list,
        "digestPassword": bool,
    },
    "updateUser": {
        "updateUser": str,
        "pwd": str,
        "customData": dict,
        "roles": list,
        "authenticationRestrictions": list,
        "mechanisms": list,
        "digestPassword": bool,
    },
    "dropUser": {"dropUser": str},
    "usersInfo": {
        "usersInfo": (str, int, dict, list),
        "showCredentials": bool,
        "showCustomData": bool,
        "showPrivileges": bool,
        "showAuthenticationRestrictions": bool,
        "filter": dict,
    },
    "createRole": {"createRole": str, "privileges": list, "roles": list, "authenticationRestrictions": list},
    "dropAllRolesFromDatabase": {"dropAllRolesFromDatabase": int},
    "dbStats": {"dbStats": int, "scale": int, "freeStorage": int},
    "dropDatabase": {"dropDatabase": int},
}
"""https://www.mongodb.com/docs/manual/reference/command/ (7.0): each command's fields."""
REQUIRED = {"createUser": {"pwd", "roles"}, "createRole": {"privileges", "roles"}}


class Wire:
    """``commands``: those that are in ``PUBLISHED``, in order, without what every command has; ``databases``: where each ran.

    ``milliseconds``: how long the last command of each name might take. Those that it ``holds`` never arrive.
    """

    def __init__(self, *holds: str) -> None:
        self.holds = holds
        self.commands: list[dict[str, Any]] = []
        self.databases: list[str] = []
        self.milliseconds: dict[str, int | None] = {}

    def passes(self, command: Mapping[str, Any]) -> bool:
        name = next(iter(command))
        self.milliseconds[name] = command.get("maxTimeMS")
        self._record(name, command)
        return name not in self.holds

    def _record(self, name: str, command: Mapping[str, Any]) -> None:
        if name in PUBLISHED:
            self.databases.append(command["$db"])
            self.commands.append({k: v for k, v in command.items() if k not in OF_EVERY_COMMAND})

    async def _client(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)

        async def answers() -> None:
            while piece := await up_reader.read(65_536):
                writer.write(piece)
                await writer.drain()

        back = asyncio.create_task(answers())
        try:
            while True:
                header = await reader.readexactly(HEADER)
                rest = await reader.readexactly(int.from_bytes(header[:4], "little") - HEADER)
                if int.from_bytes(header[12:16], "little") == OP_MSG and rest[4] == 0:
                    size = int.from_bytes(rest[FLAGS_AND_KIND : FLAGS_AND_KIND + 4], "little")
                    if not self.passes(bson.decode(rest[FLAGS_AND_KIND : FLAGS_AND_KIND + size])):
                        continue
                up_writer.write(header + rest)
                await up_writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            back.cancel()
            for end in (up_writer, writer):
                end.close()
                with suppress(ConnectionError):
                    await end.wait_closed()

    @asynccontextmanager
    async def before(self, port: int) -> AsyncIterator[int]:
        """The port at which a client is heard on its way to ``port``."""
        clients: set[asyncio.Task[None]] = set()

        def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            clients.add(asyncio.create_task(self._client(port, reader, writer)))

        async with await asyncio.start_server(met, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


def faults(command: Mapping[str, Any]) -> list[str]:
    """Where a command is not as it is published."""
    name = next(iter(command))
    fields = PUBLISHED[name]
    found = [f"{name}: {key} is no field of it" for key in command if key not in fields]
    found += [f"{name}: {key} is {value!r}" for key, value in command.items() if not isinstance(value, fields.get(key, object))]
    return found + [f"{name}: {key} is missing" for key in REQUIRED.get(name, set()) - command.keys()]
