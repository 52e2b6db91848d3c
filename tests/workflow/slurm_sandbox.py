"""A real Slurm of one machine in a temporary folder: started and stopped here, installed by nobody.

Its daemons are Debian's `slurm-wlm` and `munge`, run by root without systemd and without slurmdbd, with ports, spool
and logs of their own. The machine is one node with two cards that are none (their files are /dev/null and /dev/zero),
in the partitions `cpu` and `card`. Slurm numbers the cards in CUDA_VISIBLE_DEVICES as it would number real ones.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CPUS, MEMORY_MB, CARDS = 4, 16_000, 2
START_S = 20.0  # within which the node is ready

CONFIGURATION = """
ClusterName=sandbox
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MinJobAge=3600
KillWait=1
SlurmdParameters=config_overrides
GresTypes=gpu
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} Gres=gpu:{cards} State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=card Nodes=ALL MaxTime=INFINITE State=UP
"""
CARD_FILES = ("/dev/null", "/dev/zero")


@dataclass(frozen=True)
class Slurm:
    """A running cluster."""

    folder: Path
    host: str

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's commands need to find it; Snakemake's executor takes SLURM_CONF away from srun."""
        path = f"{self.folder / 'bin'}:{os.environ.get('PATH', '')}"
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def ask(self, *command: str) -> str:
        """What a command of Slurm prints."""
        return subprocess.run(
            command, env={**os.environ, **self.environment}, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    def jobs(self, *states: str) -> list[str]:
        """Numbers of the jobs in these states, oldest first."""
        return self.ask("squeue", "--noheader", "--format=%i", "--sort=i", f"--states={','.join(states)}").split()

    def describe(self, job: str) -> dict[str, str]:
        """What `scontrol show job` says of a job."""
        words = self.ask("scontrol", "--oneliner", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def set_node(self, state: str) -> None:
        """Drain or resume the node."""
        self.ask("scontrol", "update", f"NodeName={self.host}", f"State={state}", "Reason=test")


def missing() -> str:
    """Why there can be no Slurm here; empty where there can."""
    absent = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if find(name) is None]
    if absent:
        return f"needs Debian's slurm-wlm and munge: no {', '.join(absent)}"
    return "" if os.getuid() == 0 else "Slurm's daemons are started by root alone"


def find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextlib.contextmanager
def slurm_sandbox(folder: Path) -> Iterator[Slurm]:
    """A cluster below `folder` that is gone afterwards, with its jobs."""
    slurm = Slurm(folder, socket.gethostname().split(".")[0])
    configure(slurm)
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        start(slurm, daemons)
        yield slurm
    finally:
        with contextlib.suppress(subprocess.SubprocessError):
            slurm.ask("scancel", f"--user={os.getuid()}")
            wait_until(lambda: not slurm.jobs("RUNNING", "COMPLETING"), "the jobs have ended", slurm)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(20)


def configure(slurm: Slurm) -> None:
    folder, host = slurm.folder, slurm.host
    for name in ("state", "spool", "munge", "bin"):
        (folder / name).mkdir(parents=True)
    controller_port, node_port = free_ports(2)
    text = CONFIGURATION.format(
        folder=folder,
        host=host,
        controller_port=controller_port,
        node_port=node_port,
        cpus=CPUS,
        memory_mb=MEMORY_MB,
        cards=CARDS,
    )
    (folder / "slurm.conf").write_text(text)
    cards = "".join(f"NodeName={host} Name=gpu File={file}\n" for file in CARD_FILES)
    (folder / "gres.conf").write_text(cards)
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF="{folder}/slurm.conf" exec "{find("srun")}" "$@"\n')
    srun.chmod(0o755)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def start(slurm: Slurm, daemons: list["subprocess.Popen[bytes]"]) -> None:
    """munged, slurmctld and slurmd in the foreground, each once the one before answers."""
    munge = slurm.folder / "munge"
    key = munge / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    munge_flags = {"key-file": key, "socket": munge / "socket", "pid-file": munge / "pid", "log-file": munge / "log"}
    # Its folders lie below one that everybody may write to, which munged would otherwise refuse.
    run(slurm, daemons, "munged", "--foreground", "--force", *(f"--{k}={v}" for k, v in munge_flags.items()))
    wait_until((munge / "socket").exists, "munged answers", slurm)
    run(slurm, daemons, "slurmctld", "-D", "-i")
    run(slurm, daemons, "slurmd", "-D")
    wait_until(lambda: node_state(slurm) == "idle", "the node is idle", slurm)


def run(slurm: Slurm, daemons: list["subprocess.Popen[bytes]"], name: str, *flags: str) -> None:
    program = find(name)
    assert program is not None, f"{name} is not installed"
    with (slurm.folder / f"{name}.out").open("wb") as log:
        environment = {**os.environ, **slurm.environment}
        daemons.append(subprocess.Popen([program, *flags], env=environment, stdout=log, stderr=log))


def node_state(slurm: Slurm) -> str:
    try:
        return slurm.ask("sinfo", "--noheader", "--format=%T", "--partition=cpu")
    except subprocess.CalledProcessError:
        return "no answer yet"


def wait_until(holds, what: str, slurm: Slurm, limit_s: float = START_S) -> None:  # type: ignore[no-untyped-def]
    """Until `holds()`; what the daemons logged where it never does."""
    end = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > end:
            logs = [f"{file.name}:\n{file.read_text()[-2000:]}" for file in sorted(slurm.folder.glob("slurm*.*"))]
            raise TimeoutError(f"waited {limit_s:g} s until {what}\n" + "\n".join(logs))
        time.sleep(0.1)
