"""The container engine's command lines, for podman and for docker's classic builder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from funai.base.process.proc import Command
from funai.contracts.apps.buildspec import CA_IN_BUILD
from funai.dockerfile.emit import FILES


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One image build. Paths are absolute and inside the job's own folder."""

    context: Path
    image: str
    """The local name the image gets: ``registry/namespace/repo:tag``."""
    iidfile: Path
    tmp: Path
    dockerfile: Path = Path("Dockerfile")
    """What is built, as it was written for the engine."""
    files: Path | None = None
    """The build context of heredocs' files."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    args: Mapping[str, str] = field(default_factory=dict[str, str])
    network: str = ""
    ca_file: Path | None = None
    memory_bytes: int = 0
    cpus: float = 0
    file_bytes: int = 0
    """Largest single file a step may write."""
    pids: int = 0
    cgroup: str = ""
    """Control group (``/parent/job/leaf``) that RUN steps live in."""
    use_cache: bool = True
    fresh: bool = False
    """Nothing that earlier builds left may be used: behind the wall it is removed first."""
    docker_format: bool = True
    """Podman: the image as Docker's manifest with ``labels``, each of which it commits as one image more; else as OCI's,
    with the same as annotations."""
    keep_layers: bool = True
    """Whether later builds may find this one's steps."""
    walled: bool = False
    """Podman runs inside the wall, which has the network and the limits of all steps."""
    open_files: int = 0
    """Files that a process of a step may have open."""


CPU_PERIOD = 100_000
OPEN_FILES = 4096


@dataclass(frozen=True, slots=True)
class Engine:
    """``binary`` is the program, ``docker`` tells its dialect, ``auth_dir`` holds ``config.json`` (0600) with the login.

    A build has no login: what it needs is there, and nothing that its Dockerfile names is fetched with one.
    """

    binary: str
    auth_dir: Path
    insecure: frozenset[str] = frozenset()

    @property
    def docker(self) -> bool:
        return Path(self.binary).name.startswith("docker")

    @property
    def authfile(self) -> Path:
        return self.auth_dir / "config.json"

    @property
    def no_auth_dir(self) -> Path:
        """``config.json`` without a login."""
        return self.auth_dir / "none"

    def _env(self, tmp: Path | None = None, *, login: bool = True) -> dict[str, str]:
        folder = self.auth_dir if login else self.no_auth_dir
        env = {"DOCKER_CONFIG": str(folder), "REGISTRY_AUTH_FILE": str(folder / "config.json"), "DOCKER_BUILDKIT": "0"}
        if tmp:
            env["TMPDIR"] = str(tmp)
        return env

    def build(self, r: BuildRequest) -> Command:
        # Without a control group nothing else keeps a build from crowding out the rest.
        polite = [] if r.cgroup or r.walled else ["nice", "-n", "10"]
        argv = [
            *polite,
            self.binary,
            "build",
            "--file",
            str(r.dockerfile),
            "--tag",
            r.image,
            "--iidfile",
            str(r.iidfile),
            "--force-rm",
            "--shm-size",
            "64m",
        ]
        mark = "--label" if self.docker or r.docker_format else "--annotation"
        for name, value in sorted(r.labels.items()):
            argv += [mark, f"{name}={value}"]
        for name, value in sorted(r.args.items()):
            argv += ["--build-arg", f"{name}={value}"]
        if not r.use_cache:
            argv.append("--no-cache")
        argv += _limits(r)
        if r.walled or r.network:
            argv += ["--network", "host" if r.walled else r.network]
        if not self.docker:
            argv += _podman_only(r)
        return Command((*argv, str(r.context)), cwd=r.context, env=self._env(r.tmp, login=False))

    def pull(self, image: str, *, login: bool, tmp: Path | None = None) -> Command:
        """Fetch an image for a build, with the registry's login or without any."""
        insecure = ["--tls-verify=false"] if not self.docker and image.partition("/")[0] in self.insecure else []
        return Command((self.binary, "pull", *insecure, image), env=self._env(tmp, login=login))

    def save(self, image: str, archive: Path) -> Command:
        """Write the image as an archive in Docker's form."""
        form = () if self.docker else ("--quiet", "--format", "docker-archive")
        return Command((self.binary, "save", *form, "--output", str(archive), image), env=self._env())

    def load(self, archive: str) -> Command:
        """Take in what :meth:`save` wrote."""
        return Command((self.binary, "load", "--quiet", "--input", archive))

    def push_plain(self, image: str, target: str) -> Command:
        """Push over plain HTTP and without a login."""
        return Command((self.binary, "push", "--quiet", "--tls-verify=false", image, f"docker://{target}"))

    def remove_containers(self) -> Command:
        """Those of builds that were killed."""
        return Command((self.binary, "rm", "--all", "--force", "--time", "0"))

    def prune(self) -> Command:
        """Remove nameless images that no other stands on."""
        return Command((self.binary, "image", "prune", "--force"))

    def look(self, image: str) -> Command:
        """Prints a JSON list: id, tags, digests, and with Docker the configuration. Another exit status: see ``exists``."""
        config = ",{{json .Config}}" if self.docker else ""
        template = '["{{.Id}}",{{json .RepoTags}},{{json .RepoDigests}}' + config + "]"
        return Command((self.binary, "image", "inspect", "--format", template, image), env=self._env())

    def exists(self, image: str) -> Command:
        """Exit status 0: the image is here; 1: it isn't; with Podman another one: it can't tell."""
        if self.docker:
            return self.has_image(image)
        return Command((self.binary, "image", "exists", image), env=self._env())

    def push(self, image: str, target: str, digestfile: Path, tmp: Path) -> Command:
        """Push the local ``image`` as ``target``. Docker pushes only what bears the target's name: see :meth:`tag`."""
        if self.docker:
            return Command((self.binary, "push", "--quiet", target), env=self._env(tmp))
        argv = [self.binary, "push", "--quiet", "--digestfile", str(digestfile), "--authfile", str(self.authfile)]
        if target.partition("/")[0] in self.insecure:
            argv.append("--tls-verify=false")
        return Command((*argv, image, f"docker://{target}"), env=self._env(tmp))

    def tag(self, image: str, target: str) -> Command:
        return Command((self.binary, "tag", image, target), env=self._env())

    def has_image(self, image: str) -> Command:
        """Exit status 0 when the image is there."""
        return Command((self.binary, "image", "inspect", "--format", "{{.Id}}", image), env=self._env())

    def remove_container(self, *ids: str) -> Command:
        return Command((self.binary, "rm", "--force", *ids), env=self._env())

    def storage(self) -> Command:
        """Prints the folder where images and containers are kept."""
        template = "{{.DockerRootDir}}" if self.docker else "{{.Store.GraphRoot}}"
        return Command((self.binary, "info", "--format", template), env=self._env())

    def search(self) -> Command:
        """Prints Podman's registries as JSON; ``search`` are those of short names. Docker knows no others than its Hub."""
        return Command((self.binary, "info", "--format", "{{json .Registries}}"), env=self._env())

    def images(self) -> Command:
        """All images, layers of the build cache included: with Podman as JSON, with Docker the ids, for :meth:`describe`."""
        shown = ("--quiet",) if self.docker else ("--format", "json")
        return Command((self.binary, "images", "--all", "--no-trunc", *shown), env=self._env())

    def tagged(self) -> Command:
        """Docker: a line ``name:tag id`` for each named image."""
        return Command((self.binary, "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"), env=self._env())

    def describe(self, *ids: str) -> Command:
        """A line of JSON for each image that is still there, of what Docker's list leaves out."""
        fields = ("Id", "Parent", "RepoTags", "RepoDigests", "Created")
        template = "[" + ",".join(f"{{{{json .{field}}}}}" for field in fields) + "]"
        return Command((self.binary, "image", "inspect", "--format", template, *ids), env=self._env())

    def remove_images(self, *ids: str) -> Command:
        """An image that a container or another image uses is refused by the engine and stays."""
        return Command((self.binary, "rmi", *ids), env=self._env())


def _limits(r: BuildRequest) -> list[str]:
    argv: list[str] = []
    if r.cgroup:
        # The group's own limits count for all steps together, and outlive each step's leaf to tell what was hit.
        argv += ["--cgroup-parent", r.cgroup]
    elif not r.walled:
        argv += ["--memory", str(r.memory_bytes), "--memory-swap", str(r.memory_bytes)]
        argv += ["--cpu-period", str(CPU_PERIOD), "--cpu-quota", str(int(r.cpus * CPU_PERIOD))]
    argv += ["--ulimit", "core=0:0", "--ulimit", f"nofile={r.open_files or OPEN_FILES}:{r.open_files or OPEN_FILES}"]
    if r.file_bytes:
        argv += ["--ulimit", f"fsize={r.file_bytes}:{r.file_bytes}"]
    return argv


def _podman_only(r: BuildRequest) -> list[str]:
    argv = [
        "--format",
        "docker" if r.docker_format else "oci",
        "--layers" if r.keep_layers else "--layers=false",
        "--isolation",
        "oci",
        "--http-proxy=false",  # the operator's, with a password perhaps
        "--pull=never",
    ]
    if r.files:
        argv += ["--build-context", f"{FILES}={r.files}"]
    if r.pids:
        argv += ["--ulimit", f"nproc={4 * r.pids}:{4 * r.pids}"]
    if r.ca_file:
        argv += ["--volume", f"{r.ca_file}:{CA_IN_BUILD}:ro"]
    return argv
