"""Images pushed to a real registry over its API, without an engine: a config, one layer, a manifest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import httpx

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BASE_LAYER = b"the layer that every image shares " * 100


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Pusher:
    """``address`` is the registry's host:port, ``login`` what it asks for."""

    address: str
    login: tuple[str, str] | None = None

    def _client(self) -> httpx.Client:
        auth = httpx.BasicAuth(*self.login) if self.login else None
        return httpx.Client(base_url=f"http://{self.address}", auth=auth, trust_env=False, timeout=30)

    def push(self, repository: str, content: str, *tags: str) -> str:
        """An image of the shared layer and one of its own; answers its digest."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": {"content": content}}}).encode()
        own = own_layer(content)
        with self._client() as http:
            for blob in (config, BASE_LAYER, own):
                self._blob(http, repository, blob)
            manifest = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _described("application/vnd.oci.image.config.v1+json", config),
                "layers": [_described("application/vnd.oci.image.layer.v1.tar", b) for b in (BASE_LAYER, own)],
            }
            return self._manifest(http, repository, json.dumps(manifest).encode(), MANIFEST, tags)

    def push_index(self, repository: str, children: list[str], *tags: str) -> str:
        """An index of manifests that are there; answers its digest."""
        with self._client() as http:
            rows = []
            for child in children:
                got = http.get(f"/v2/{repository}/manifests/{child}", headers={"Accept": MANIFEST}).raise_for_status()
                rows.append({**_described(MANIFEST, got.content), "platform": {"architecture": "amd64", "os": "linux"}})
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": rows}
            return self._manifest(http, repository, json.dumps(index).encode(), INDEX, tags)

    def pullable(self, repository: str, reference: str) -> bool:
        """Can all of it be fetched: the manifest, what it refers to, every byte of every blob?"""
        with self._client() as http:
            got = http.get(f"/v2/{repository}/manifests/{reference}", headers={"Accept": f"{MANIFEST}, {INDEX}"})
            if got.status_code != 200:
                return False
            manifest = got.json()
            if "manifests" in manifest:
                return all(self.pullable(repository, m["digest"]) for m in manifest["manifests"])
            for part in (manifest["config"], *manifest["layers"]):
                blob = http.get(f"/v2/{repository}/blobs/{part['digest']}")
                if blob.status_code != 200 or digest_of(blob.content) != part["digest"]:
                    return False
            return True

    def _blob(self, http: httpx.Client, repository: str, data: bytes) -> None:
        begun = http.post(f"/v2/{repository}/blobs/uploads/").raise_for_status()
        place = httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest_of(data)})
        http.put(place, content=data, headers={"Content-Type": "application/octet-stream"}).raise_for_status()

    def _manifest(self, http: httpx.Client, repository: str, data: bytes, kind: str, tags: tuple[str, ...]) -> str:
        digest = digest_of(data)
        for reference in tags or (digest,):
            put = http.put(f"/v2/{repository}/manifests/{reference}", content=data, headers={"Content-Type": kind})
            put.raise_for_status()
        return digest


def own_layer(content: str) -> bytes:
    """The layer that only an image of this content has."""
    return content.encode() * 50


def _described(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}
