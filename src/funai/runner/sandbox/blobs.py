"""What the Runner's engine knows of the blobs of pushed base images, so that no app's push compresses them anew."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from funai.runner.sandbox.stores import Store
from funai.runner.sandbox.wall import FIRST_ID

BLOBS_FILE = "blob-info-cache-v1.boltdb"


@dataclass(frozen=True, slots=True)
class KnownBlobs:
    """``folder`` holds the engine's own record, and a file for each image whose push filled it."""

    folder: Path

    def knows(self, image: str) -> bool:
        """Whether the image was pushed with the record that is there now."""
        return self._mark(image).is_file() and (self.folder / BLOBS_FILE).is_file()

    def learned(self, image: str) -> None:
        self._mark(image).touch()

    def make(self) -> None:
        """The folder, which a push from inside the wall writes to. A record that is gone takes the marks with it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chown(self.folder, FIRST_ID, FIRST_ID)
        if not (self.folder / BLOBS_FILE).is_file():
            for mark in self.folder.glob("*.known"):
                mark.unlink()

    def hand_to(self, store: Store) -> None:
        """Copy the record into an app's store: its build may have made one, which knows nothing yet.

        No process of the app's runs now.
        """
        if (known := self.folder / BLOBS_FILE).is_file():
            fresh = store.folder / BLOBS_FILE
            shutil.copyfile(known, fresh)
            os.chown(fresh, FIRST_ID, FIRST_ID)
            fresh.rename(store.blobs / BLOBS_FILE)

    def _mark(self, image: str) -> Path:
        return self.folder / f"{image}.known"
