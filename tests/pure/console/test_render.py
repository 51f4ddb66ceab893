"""What templates put into pages."""

from __future__ import annotations

from funai.console.render import keep_returns


def test_log_text_keeps_its_carriage_returns_and_stays_text() -> None:
    assert keep_returns("10 %\r20 %\n</pre><b>&") == "10 %&#13;20 %\n&lt;/pre&gt;&lt;b&gt;&amp;"
