"""An SMTP server on loopback that keeps what it is given: as much of RFC 5321 as a client needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Mailbox:
    """``refuse`` is the answer to MAIL FROM instead of taking it."""

    port: int = 0
    refuse: str = ""
    recipients: list[str] = field(default_factory=list[str])
    mails: list[bytes] = field(default_factory=list[bytes])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        await say("220 mailbox")
        while line := await reader.readline():
            verb = line.decode().strip().upper()
            if verb.startswith("MAIL") and self.refuse:
                await say(self.refuse)
            elif verb.startswith("RCPT"):
                self.recipients.append(line.decode().partition(":")[2].strip(" <>\r\n"))
                await say("250 ok")
            elif verb == "DATA":
                await say("354 go on")
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                await say("250 kept")
            elif verb == "QUIT":
                await say("221 bye")
                break
            else:
                await say("250 ok")
        writer.close()


@asynccontextmanager
async def mailbox(refuse: str = "") -> AsyncIterator[Mailbox]:
    box = Mailbox(refuse=refuse)
    server = await asyncio.start_server(box.serve, "127.0.0.1", 0)
    async with server:
        box.port = server.sockets[0].getsockname()[1]
        yield box
