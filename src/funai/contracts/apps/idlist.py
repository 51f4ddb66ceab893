"""Many ids as one text: their differences in order, compressed. 100,000 with few gaps take some kilobytes."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from itertools import accumulate, pairwise

from funai.contracts.errors import BadInput

MAX_PACKED, MAX_UNPACKED = 1_500_000, 8_000_000
"""Characters of the text, and bytes of what it holds."""


def pack_ids(ids: Iterable[int]) -> str:
    """Each once, in order."""
    ordered = [0, *sorted(set(ids))]
    text = ",".join(str(after - before) for before, after in pairwise(ordered))
    return base64.b64encode(zlib.compress(text.encode())).decode()


def unpack_ids(text: str) -> list[int]:
    """Raises BadInput."""
    if not text:
        return []
    unpack = zlib.decompressobj()
    try:
        plain = unpack.decompress(base64.b64decode(text, validate=True), MAX_UNPACKED)
        if not unpack.eof:
            raise ValueError("cut short, or too many")
        return list(accumulate(int(part) for part in plain.split(b",")))
    except (ValueError, zlib.error) as e:
        raise BadInput(detail=f"packedAppIds: {str(e)[:100]}") from e
