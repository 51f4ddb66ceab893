"""How a deploy under way is shown: live on a terminal, as plain lines elsewhere, as JSON lines to a script."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from funai.cli.output.output import Output, duration
from funai.cli.output.progress import Change, Progress, Step, StepState

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table


class View(Protocol):
    """Entered before the first look at the job, left in any case."""

    def changed(self, changes: list[Change]) -> None: ...
    def log(self, text: str) -> None:
        """One line of the job's log, without its line end; may carry ANSI colours."""
        ...

    def trouble(self, text: str) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def queue_words(out: Output, note: str) -> str:
    """``note`` is a position (``1`` is next) or the reason the job waits for."""
    if not note:
        return ""
    if note.isdigit():
        ahead = int(note) - 1
        return out.say("queue_next") if ahead <= 0 else out.say("queue_position", ahead=ahead)
    from funai.i18n.reasons import render

    return render(note, out.language, {})


class SilentView:
    """For ``--json`` without ``--follow``: the verb's one document says it all."""

    def changed(self, changes: list[Change]) -> None:
        pass

    def log(self, text: str) -> None:
        pass

    def trouble(self, text: str) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class JsonView(SilentView):
    """``{"event":"phase",…}`` and ``{"event":"log","line":…}`` lines."""

    def __init__(self, out: Output) -> None:
        self.out = out

    def changed(self, changes: list[Change]) -> None:
        for c in changes:
            event: dict[str, Any] = {"event": "phase", "phase": c.phase, "state": c.kind}
            if c.seconds is not None:
                event["seconds"] = round(c.seconds, 3)
            if c.note:
                event["note"] = c.note
            self.out.event(event)

    def log(self, text: str) -> None:
        self.out.event({"event": "log", "line": text})

    def trouble(self, text: str) -> None:
        self.out.event({"event": "trouble", "message": text})


class PlainView(SilentView):
    """One line a change, for pipes and CI."""

    def __init__(self, out: Output) -> None:
        self.out = out

    def changed(self, changes: list[Change]) -> None:
        for c in changes:
            self.out.line(plain_change(self.out, c))

    def log(self, text: str) -> None:
        self.out.line(text)

    def trouble(self, text: str) -> None:
        self.out.aside(self.out.say("reconnecting", detail=text))


def plain_change(out: Output, change: Change) -> str:
    name = out.say(f"phase_{change.phase}")
    if change.kind == "queue":
        words = queue_words(out, change.note)
        return f"… {name}: {words}" if words else f"… {name}"
    if change.kind == "attempt":
        return f"… {out.say('attempt', n=change.note)}"
    if change.kind == "started":
        return f"… {name}"
    mark = "✗" if change.kind == "failed" else "✓"
    return f"{mark} {name} {duration(change.seconds or 0)}"


class LiveView:
    """A small table that redraws itself: a spinner on the phase under way, its time running; log lines scroll above it."""

    def __init__(self, out: Output, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self.out, self.progress, self.clock = out, progress, clock
        self._live: Live | None = None

    def changed(self, changes: list[Change]) -> None:  # noqa: ARG002 - the table shows the whole state
        if self._live is not None:
            self._live.refresh()

    def log(self, text: str) -> None:
        from rich.text import Text

        if self._live is not None:
            self._live.console.print(Text.from_ansi(text), soft_wrap=True)

    def trouble(self, text: str) -> None:
        if self._live is not None:
            self._live.console.print(self.out.say("reconnecting", detail=text), style="yellow")

    def __enter__(self) -> Self:
        from rich.live import Live
        from rich.spinner import Spinner

        self._spinner = Spinner("dots", style="cyan")
        live = Live(console=self.out.console(), get_renderable=self.table, refresh_per_second=8)
        live.start()
        self._live = live
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        now = self.clock()
        table = Table.grid(padding=(0, 1))
        for step in self.progress.steps.values():
            if step.state is StepState.SKIPPED and self.progress.ended is None:
                continue
            mark, style = _MARKS[step.state]
            sign = self._spinner if step.state is StepState.RUNNING else Text(mark, style=style)
            seconds = step.elapsed(now)
            table.add_row(
                sign,
                Text(self.out.say(f"phase_{step.name}"), style=style),
                Text("" if seconds is None else duration(seconds), style="dim", justify="right"),
                self._note(step),
            )
        return table

    def _note(self, step: Step) -> Any:
        from rich.text import Text

        note = queue_words(self.out, step.note) if step.name == "QUEUED" else step.note
        if step.state is StepState.SKIPPED:
            note = self.out.say("skipped")
        return Text(note, style="dim", no_wrap=True, overflow="ellipsis")


_MARKS = {
    StepState.WAITING: ("·", "dim"),
    StepState.RUNNING: ("", "bold cyan"),
    StepState.DONE: ("✓", "green"),
    StepState.SKIPPED: ("–", "dim"),
    StepState.FAILED: ("✗", "bold red"),
}


def view_for(out: Output, progress: Progress, *, stream: bool) -> View:
    """The view that fits: ``stream`` asks for JSON lines instead of one document."""
    if out.as_json:
        return JsonView(out) if stream else SilentView()
    return LiveView(out, progress) if sys.stdout.isatty() else PlainView(out)
