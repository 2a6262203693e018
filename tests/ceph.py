"""A real S3 server on loopback: Ceph's gateway over one monitor and one disk daemon, from Debian's packages.

It exists so that tests meet a server that refuses what S3 refuses. Its data is temporary.
"""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
from botocore.config import Config
from mypy_boto3_s3 import S3Client

from deploy.local.process import Process
from deploy.local.redis import LOOPBACK, free_port

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
DISK_BYTES = 4 * 1024**3  # sparse: an empty one takes about 60 MB
REGION = "us-east-1"

# One node that starts in seconds: the last three of [global] cut waiting that only serves larger clusters, and
# tcp_nodelay makes small requests twenty times faster.
CONFIGURATION = """
[global]
fsid = {fsid}
mon_host = v2:{host}:{monitor_port}
mon_initial_members = a
run_dir = {folder}
admin_socket = {folder}/$name.asok
keyring = {folder}/keyring
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
public_addr = {host}
cluster_addr = {host}
ms_bind_ipv4 = true
ms_bind_ipv6 = false
log_to_stderr = true
mon_cluster_log_file = {folder}/cluster.log
paxos_propose_interval = 0.05
osd_pool_default_read_lease_ratio = 0.05
mon_osd_min_down_reporters = 1

[mon.a]
mon_data = {folder}/mon

[osd.0]
osd_data = {folder}/osd
bluestore_block_size = {disk_bytes}
osd_memory_target = 939524096

[client.rgw.a]
rgw_frontends = beast endpoint={host}:{s3_port} tcp_nodelay=1
rgw_data = {folder}/rgw
"""

KEYRING_OWNERS = {
    "mon.": ["mon", "allow *"],
    "client.admin": ["mon", "allow *", "osd", "allow *", "mgr", "allow *", "mds", "allow *"],
    "osd.0": ["mon", "allow profile osd", "osd", "allow *"],
    "client.rgw.a": ["mon", "allow rw", "osd", "allow rwx"],
}


@dataclass(frozen=True)
class S3Server:
    """How to reach a running S3 server."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = REGION

    def client(self) -> S3Client:
        """A boto3 client with path-style addresses and version 4 signatures."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def environment(self, bucket: str) -> dict[str, str]:
        """The settings that make LesionLens keep its objects in `bucket` on this server."""
        return {
            "S3_BUCKET": bucket,
            "S3_ENDPOINT_URL": self.endpoint,
            "S3_ACCESS_KEY": self.access_key,
            "S3_SECRET_KEY": self.secret_key,
            "S3_REGION": self.region,
            "S3_ADDRESSING_STYLE": "path",
        }


def missing_programs() -> list[str]:
    """The programs that this machine lacks for it."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextmanager
def ceph_s3() -> Iterator[S3Server]:
    """A running S3 server with one user; all is gone at the end. Raises ProcessDied if a part does not start."""
    with (
        tempfile.TemporaryDirectory(prefix="lesionlens-ceph-", ignore_cleanup_errors=True) as name,
        ExitStack() as stack,
    ):
        cluster = _Cluster(Path(name), stack)
        cluster.start_monitor()
        cluster.start_disk()
        yield cluster.start_gateway()


class _Cluster:
    """The daemons of one cluster, in the order that they need."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.fsid = str(uuid.uuid4())
        self.monitor_port = free_port()
        self.s3_port = free_port()
        self._stack = stack
        self._environment = {**os.environ, "CEPH_CONF": str(folder / "ceph.conf")}
        (folder / "ceph.conf").write_text(
            CONFIGURATION.format(
                fsid=self.fsid,
                host=LOOPBACK,
                folder=folder,
                monitor_port=self.monitor_port,
                s3_port=self.s3_port,
                disk_bytes=DISK_BYTES,
            )
        )
        for daemon in ("mon", "osd", "rgw"):
            (folder / daemon).mkdir()

    def start_monitor(self) -> None:
        """Make the keys and the map of monitors, and start the only one."""
        keyring = self.folder / "keyring"
        for owner, capabilities in KEYRING_OWNERS.items():
            pairs = [part for i in range(0, len(capabilities), 2) for part in ("--cap", *capabilities[i : i + 2])]
            create = [] if keyring.exists() else ["--create-keyring"]
            self._run("ceph-authtool", *create, keyring, "--gen-key", "-n", owner, *pairs)
        address = f"[v2:{LOOPBACK}:{self.monitor_port}]"
        self._run("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", address, self.folder / "monmap")
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", self.folder / "monmap", "--keyring", keyring)
        self._daemon("ceph-mon", "-f", "-i", "a")

    def start_disk(self) -> None:
        """Register, format and start the only disk daemon."""
        osd = str(uuid.uuid4())
        self._run("ceph", "osd", "new", osd)
        shutil.copy(self.folder / "keyring", self.folder / "osd" / "keyring")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd, "--no-mon-config")
        disk = self._daemon("ceph-osd", "-f", "-i", "0")
        self._run("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=localhost")
        # A gateway that starts before the disk is up waits seconds longer than one that starts after.
        disk.wait_until(lambda: "1 up" in self._run("ceph", "osd", "stat"), timeout=60)

    def start_gateway(self) -> S3Server:
        """Start the gateway, and make its user."""
        server = S3Server(f"http://{LOOPBACK}:{self.s3_port}", "lesionlens", uuid.uuid4().hex)
        gateway = self._daemon("radosgw", "-f", "-n", "client.rgw.a")
        gateway.wait_until(lambda: _answers(server.endpoint), timeout=60)
        user = ["user", "create", "--uid=lesionlens", "--display-name=LesionLens"]
        self._run("radosgw-admin", *user, f"--access-key={server.access_key}", f"--secret-key={server.secret_key}")
        return server

    def _daemon(self, program: str, *arguments: str) -> Process:
        """Start a daemon that stops with the cluster: at once, since a gateway that has served ignores requests."""
        log = self.folder / f"{program}.log"
        process = Process(program, [program, *arguments], log=log, env=self._environment, grace=0.5)
        return self._stack.enter_context(process)

    def _run(self, program: str, *arguments: str | Path) -> str:
        """Run an administration command, and give what it prints. Raises RuntimeError with that if it fails."""
        argv = [program, *map(str, arguments)]
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"`{' '.join(argv)}` failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def _answers(endpoint: str) -> bool:
    try:
        return httpx.get(endpoint, timeout=2).status_code < 500
    except httpx.TransportError:
        return False
