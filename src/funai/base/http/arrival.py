"""HTTP/1.1 connections with deadlines: a client that neither sends nor reads does not hold its connection for ever."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 30.0
BODY_SECONDS = 120.0
READ_SECONDS = 60.0


class ArrivalProtocol(H11Protocol):
    """uvicorn's protocol with deadlines; the connection is closed when one passes.

    A head is complete ``head_seconds`` after its connection, or after its first byte on a kept connection; each part of a body
    follows the one before it within ``body_seconds``; of an answer that fills the buffers, some is read within
    ``read_seconds``. How long the application takes is not bounded here.
    """

    head_seconds, body_seconds, read_seconds = HEAD_SECONDS, BODY_SECONDS, READ_SECONDS
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._expect_head()
        else:
            self._expect_body()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # A request that had been sent ahead may have begun now. Before the next one, uvicorn counts the idle time.
        if not self.transport.is_closing():
            self._expect_body()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._expect_reading_no_more()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        self._expect_reading_no_more()
        super().connection_lost(exc)

    def _expect_reading_no_more(self) -> None:
        if self._unread:
            self._unread.cancel()
            self._unread = None

    def _expect_head(self) -> None:
        if not self._in_head:
            self._expect_nothing()
            self._in_head = True
            self._deadline = self.loop.call_later(self.head_seconds, self._late)

    def _expect_body(self) -> None:
        self._expect_nothing()
        if self.conn.their_state is h11.SEND_BODY:
            self._deadline = self.loop.call_later(self.body_seconds, self._late)

    def _expect_nothing(self) -> None:
        self._in_head = False
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        if self.conn.their_state is h11.SEND_BODY and self.flow.read_paused:
            self._expect_body()  # it is the application that has not read on
        else:
            self.transport.close()
