"""Templates to answers: Jinja2 with autoescape, the catalogue's texts, and the words for times and sizes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from funai.console import presenter
from funai.console.assets import asset_url
from funai.i18n.console import TEXTS, next_step, text
from funai.i18n.language import headline
from funai.i18n.reasons import render
from funai.i18n.sizes import size


class Pages:
    """Renders the templates of ``console/templates``."""

    def __init__(self) -> None:
        self.environment = Environment(
            loader=PackageLoader("funai.console", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        names: dict[str, object] = self.environment.globals  # pyright: ignore[reportAssignmentType]
        names.update(
            asset=asset_url,
            now=lambda: datetime.now(UTC),
            advice_for=next_step,
            reason_words=_reason_words,
            app_badges=presenter.app_badges,
            app_address=presenter.address,
            known_notices=TEXTS,
        )
        self.environment.filters.update(duration=presenter.duration, bytes=size, keep_returns=keep_returns)

    def answer(
        self, request: Request, template: str, language: str, values: Mapping[str, object], *, status: int
    ) -> HTMLResponse:
        """The page as an answer. ``values`` are the template's names."""
        known: Mapping[str, object] = {
            "t": partial(text, language),
            "language": language,
            "nonce": request.state.nonce,
            "ago": partial(presenter.ago, language),
            "request_path": request.url.path,
            "headline": partial(headline, language),
        }
        body = self.environment.get_template(template).render({**known, **values})
        return HTMLResponse(body, status_code=status, headers={"Vary": "Cookie, Accept-Language"})


def keep_returns(text: str) -> Markup:
    """Escaped, with carriage returns as references: a browser's parser turns bare ones into new lines."""
    return Markup(escape(text).replace("\r", Markup("&#13;")))


def _reason_words(language: str, reason: str) -> str:
    """What a reason word means, for people."""
    return render(reason, language, {})
