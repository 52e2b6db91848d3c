# Snakemake's lock on the files that a run makes and reads. A run that was killed leaves it behind, and the next one shall
# go on all the same: lock files name the run that wrote them, and those of a dead one are removed.

import contextlib
import functools

import snakemake.workflow
from snakemake.exceptions import LockException, WorkflowError
from snakemake.persistence.file import FilePersistence
from snakemake.sourcecache import LocalSourceFile

from unchoke.machine import run_locks
from unchoke.machine.sockets import RUN_NAME

# Inputs that jobs wait for, and that results do not depend on: a job that gains or loses one is not run again for it.
UNCHANGING = [f"{RESULTS}/unusable.json"]

# What messages call this run, those of its jobs too.
NAME = run_locks.run_name(config["dataset"]["name"], workflow.configfiles)
os.environ[RUN_NAME] = f"{NAME}, Snakemake {os.getpid()}"

# Snakemake formats the path of environment.yml, which has no wildcards, and stumbles over braces in that of the checkout.
LocalSourceFile.format = lambda self, **wildcards: self


class NamedLocks(FilePersistence):
    """Snakemake's own records, with lock files that name their run, and inputs that only set an order. Undocumented, so
    tests pin it."""

    @contextlib.contextmanager
    def lock(self):
        """Of several runs that start at once, each looks for locks and takes its own before the next one looks."""
        folder = Path(self._lockdir)
        with contextlib.ExitStack() as stack:
            with run_locks.turn(self.path / "unchoke.turn") as flock:
                for sentence in run_locks.remove_dead_locks(folder):
                    print(sentence, file=sys.stderr)
                self._holder = run_locks.this_run(
                    flock=flock, cluster=not is_local(), name=NAME
                )
                os.environ[run_locks.RUN_VARIABLE] = self._holder.run
                try:
                    stack.enter_context(super().lock())
                except LockException:
                    raise WorkflowError(str(run_locks.held_error(folder))) from None
            yield

    def _read_locks(self):
        for lock in run_locks.living_locks(Path(self._lockdir)):
            for key in lock.read_text().splitlines():
                yield lock.name.split(".")[1], key

    def _write_locks(self, lock_type, keys):
        if keys := list(keys):
            super()._write_locks(lock_type, [self._holder.line, *keys])
            run_locks.hold(Path(self._lockfile[lock_type]))

    def _delete_locks(self):
        """Remove the locks of this run; Snakemake would take those of other datasets with them."""
        for lock in self._lockfile.values():
            Path(lock).unlink(missing_ok=True)
        self._lockfile.clear()

    @functools.lru_cache  # as Snakemake has it
    def _input(self, job):
        return [path for path in super()._input(job) if path not in UNCHANGING]

    def cleanup_locks(self):
        super()._delete_locks()


snakemake.workflow.FilePersistence = NamedLocks
