"""A real Slurm of one node for tests: munged, slurmctld and slurmd, without systemd, on loopback only.

Everything (key, sockets, state, logs) lives in one folder, so it needs no root and touches no Slurm that the
machine may have. The two GPUs are null devices. By hand, until Ctrl-C:

    python tests/slurm/cluster.py
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

# SlurmdTimeout makes a vanished node known within seconds; MinJobAge keeps ended jobs for the tests to read.
# config_overrides lets the node claim more memory than this machine has: the profile's requests fit anywhere.
CONFIGURATION = """\
ClusterName=habits
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
GresTypes=gpu
ReturnToService=2
MinJobAge=3600
KillWait=2
SlurmdTimeout=6
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=256000 Gres=gpu:toy:2 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=1-0 State=UP
PartitionName=gpu Nodes={host} MaxTime=1-0 State=UP
"""


def missing() -> list[str]:
    """Programs that a cluster needs and this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name, path=SEARCH) is None]


class Cluster:
    """A running cluster in ``folder``; ``environment`` is what its users need."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.host = folder, socket.gethostname().split(".")[0]
        path = os.pathsep.join([f"{folder}/bin", SEARCH])
        self.environment = os.environ | {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": path}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Cluster:
        self.configure()
        try:
            self.start_munge()
            self.start("slurmctld", "-D", "-f", f"{self.folder}/slurm.conf")
            self.start_node()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def configure(self) -> None:
        """Write key, devices and configuration."""
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)  # munged wants to be reached by everybody.
        self.wrap_srun()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        controller_port, node_port = _free_ports(2)
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                folder=self.folder,
                host=self.host,
                user=psutil.Process().username(),
                cores=os.cpu_count(),
                controller_port=controller_port,
                node_port=node_port,
            )
        )
        (self.folder / "gres.conf").write_text(
            f"NodeName={self.host} Name=gpu Type=toy File={','.join(map(str, self.fake_gpus()))}\n"
        )

    def wrap_srun(self) -> None:
        """Let srun find the configuration: the plugin takes SLURM_CONF from its environment."""
        wrapper = self.folder / "bin/srun"
        srun = shutil.which("srun", path=SEARCH)
        wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {srun} "$@"\n')
        wrapper.chmod(0o755)

    def fake_gpus(self) -> list[Path]:
        """Two device files; links to null devices, since making devices takes root."""
        devices = [Path("/dev/null"), Path("/dev/zero")]
        links = [self.folder / f"gpu{number}" for number in range(len(devices))]
        for link, device in zip(links, devices, strict=True):
            link.symlink_to(device)
        return links

    def start_munge(self) -> None:
        """Start the authentication daemon with a key and socket of its own."""
        files = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munge.pid"}
        files |= {"log-file": "munge.log", "seed-file": "munge.seed"}
        options = [f"--{option}={self.folder / name}" for option, name in files.items()]
        self.start("munged", "--foreground", "--force", *options)
        self.wait(lambda: (self.folder / "munge.sock").exists(), "munged")

    def start_node(self) -> None:
        """Start slurmd and wait until the node takes jobs; also after `lose_node`."""
        self.start("slurmd", "-D", "-f", f"{self.folder}/slurm.conf", "-N", self.host)
        self.wait(lambda: self.ask("sinfo", "-h", "-o", "%T") in {"idle", "mixed"}, "the node")

    def lose_node(self) -> None:
        """SIGKILL for slurmd and all processes of its jobs, as if the machine had lost power."""
        self.daemons.pop("slurmd").kill()
        for process in self.job_processes():
            process.kill()

    def job_processes(self) -> list[psutil.Process]:
        """All processes of jobs, their managers first: a manager that outlives its job would report it."""
        mine = [process for process in psutil.process_iter(["name"]) if self.runs_a_job(process)]
        return sorted(mine, key=lambda process: process.info["name"] != "slurmstepd")

    def runs_a_job(self, process: psutil.Process) -> bool:
        """Whether a process belongs to a job of this cluster, and no other on the machine."""
        try:
            # Not psutil's environ(): it stops where slurmstepd has written its title over the first part.
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            return False
        on_node = process.info["name"] == "slurmstepd" or b"SLURMD_NODENAME=" in environment
        return on_node and f"SLURM_CONF={self.folder}/slurm.conf\0".encode() in environment

    def start(self, program: str, *options: str) -> None:
        """Start a daemon as a child process; its output goes to ``{program}.out``."""
        path = shutil.which(program, path=SEARCH)
        with (self.folder / f"{program}.out").open("ab") as out:
            self.daemons[program] = subprocess.Popen(
                [str(path), *options], env=self.environment, stdout=out, stderr=subprocess.STDOUT
            )

    def ask(self, *command: str) -> str:
        """Output of a Slurm command; empty if it failed."""
        run = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return run.stdout.strip()

    def wait(self, ready: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Wait for ``ready()``; tell what the daemons said if it does not come."""
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                said = "\n".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("*.out")))
                raise TimeoutError(f"{what} did not come up in {seconds:.0f} s:\n{said}")
            time.sleep(0.1)

    def clear(self) -> None:
        """Cancel all jobs and wait until they are gone."""
        self.ask("scancel", "--user", psutil.Process().username())
        self.wait(lambda: not self.ask("squeue", "-h"), "an empty queue")

    def stop(self) -> None:
        """End the jobs and the daemons, the last one started first."""
        for process in self.job_processes():
            process.kill()
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            daemon.wait(timeout=30)


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


if __name__ == "__main__":
    if missing():
        sys.exit(f"not installed: {', '.join(missing())} (Debian, Ubuntu: apt install slurm-wlm munge)")
    with tempfile.TemporaryDirectory(prefix="slurm") as place, Cluster(Path(place) / "cluster") as cluster:
        print("In the shell that uses it (Ctrl-C here ends it):")
        print(f"export SLURM_CONF={cluster.folder}/slurm.conf PATH={cluster.folder}/bin:$PATH")
        try:
            cluster.daemons["slurmd"].wait()
        except KeyboardInterrupt:
            print("stopped")
