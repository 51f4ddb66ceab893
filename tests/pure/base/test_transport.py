from __future__ import annotations

import pytest

from funai.base.clients.transport import Transport
from funai.contracts.errors import ConfigError


@pytest.mark.parametrize("address", ["http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:0", "http://a:b"])
def test_an_address_to_which_nothing_connects_is_a_setting_that_can_t_be_used(address: str) -> None:
    with pytest.raises(ConfigError, match="deploy at"):
        Transport("deploy", address)
