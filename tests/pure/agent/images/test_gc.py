"""Which images go with a deleted app: only what is wholly its own, unused, and to be had again."""

from __future__ import annotations

from collections.abc import Collection

from funai.agent.engine.contract import StoredImage
from funai.agent.images.gc import disposable

SHA = "sha256:" + "a" * 64
OWN = StoredImage("1", ("reg:5000/ns/u1-app7:latest", "reg:5000/ns/u1-app7:abc"), (f"reg:5000/ns/u1-app7@{SHA}",))
BY_DIGEST = StoredImage("2", (), (f"reg:5000/ns/u1-app7@{SHA}",))
NGINX = StoredImage("3", ("docker.io/library/nginx:1",), (f"docker.io/library/nginx@{SHA}",))


def gone(
    *images: StoredImage, refs: Collection[str] = (), used: Collection[str] = (), held: Collection[str] = (), registry: str = ""
) -> list[str]:
    found = disposable(images, app_repository="u1-app7", refs=refs, used=used, held=held, registry=registry)
    return [d.id for d in found]


def test_what_bears_the_apps_name_goes_with_all_its_names() -> None:
    assert gone(OWN, BY_DIGEST) == ["1", "2"]
    (whole,) = disposable([OWN], app_repository="u1-app7", refs=(), used=(), held=(), registry="reg:5000")
    assert whole.names == OWN.names


def test_an_image_that_a_container_uses_stays() -> None:
    assert gone(OWN, BY_DIGEST, used={"1"}) == ["2"]


def test_another_apps_image_stays_also_one_with_a_longer_number() -> None:
    others = [
        StoredImage(str(n), (f"reg:5000/ns/{r}:1",)) for n, r in enumerate(("u1-app70", "u11-app7", "xu1-app7", "u1-app8"))
    ]
    assert gone(*others) == []


def test_an_image_that_another_app_names_too_stays() -> None:
    shared = StoredImage("4", ("reg:5000/ns/u1-app7:1", "reg:5000/ns/u1-app8:1"))
    assert gone(shared) == []


def test_a_prebuilt_image_goes_with_its_only_app_and_only_by_the_name_it_was_deployed_by() -> None:
    assert gone(NGINX) == []
    assert gone(NGINX, refs={"docker.io/library/nginx:1"}) == ["3"]
    two = StoredImage("5", ("docker.io/library/nginx:1", "docker.io/library/nginx:stable"))
    assert gone(two, refs={"docker.io/library/nginx:1"}) == []
    assert gone(BY_DIGEST, refs={f"reg:5000/ns/u1-app7@{SHA}"}) == ["2"]


def test_what_could_not_be_had_again_stays() -> None:
    local = [StoredImage("6", ("localhost/web:1",)), StoredImage("7", ("web:1",)), StoredImage("8", ("localhost/u1-app7:1",))]
    assert gone(*local, refs={"localhost/web:1", "web:1"}) == []
    assert gone(OWN, NGINX, refs={"docker.io/library/nginx:1"}, registry="reg:5000") == ["1"]
    assert gone(OWN, registry="other:5000") == []


def test_a_rollout_in_hand_keeps_its_image() -> None:
    assert gone(NGINX, refs={"docker.io/library/nginx:1"}, held={"docker.io/library/nginx:1"}) == []
    assert gone(BY_DIGEST, held={f"reg:5000/ns/u1-app7@{SHA}"}) == []


def test_an_older_containers_image_id_is_no_name() -> None:
    assert gone(OWN, refs={SHA, "not a name!"}) == ["1"]
