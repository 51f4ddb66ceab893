"""Is it the image that can't be started, or the node? Pure: an engine's words in.

No engine tells the two apart by a code: Podman answers 500 to both, Docker 400 or 500. So what Podman, Docker, runc and
crun write about a process's user, working directory and program is known here by its form; other words are the node's.
"""

from __future__ import annotations

import re

_WORDS = re.compile(
    r"""
      unable\ to\ find\ (user|group)\ .*:\ no\ matching\ entries     # USER
    | ^(container\ create:\ )?no\ command\ (or\ entrypoint\ provided|specified)   # neither CMD nor ENTRYPOINT
    | ^workdir\ ".*"\ .*(not\ a\ directory|does\ not\ exist)         # WORKDIR: Podman
    | ^cannot\ mkdir:\ .*\ is\ not\ a\ directory                     # … and Docker
    | exec:\ ".*":\ (stat\ .*:\ )?(no\ such\ file\ or\ directory|executable\ file\ not\ found
                                 |permission\ denied|is\ a\ directory|not\ a\ directory)   # ENTRYPOINT: runc
    | executable\ file\ [`'"].*[`'"]\ not\ found                     # … and crun
    | crun:\ open\ executable:\ permission\ denied
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def is_images_own(words: str) -> bool:
    """Whether an engine that refused to make or start a container with these words found fault with the image."""
    return _WORDS.search(words) is not None
