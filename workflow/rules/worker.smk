# What Snakemake does for the warm worker: its start and its end, and a job that waits at it while another computes.


# Limits with a second job for each card, which waits at its worker while the first one computes: the worker would have
# nothing to do while Snakemake works and a process starts. It runs one at a time, and what waits takes nothing of the card.
LIMITS_WITH_WAITING = (
    {"gpu": 2 * CARDS, "vram_mb": 2 * LIMITS["vram_mb"]} if WAITING else {}
)

# A job of a cluster, which has no hooks: the worker reads torch while Snakemake starts, once for the job and once in it.
if workflow.remote_exec and os.environ.get("CUDA_VISIBLE_DEVICES"):
    shell('"$UNCHOKE_SCRIPTS"/warm --load extract_chunk')
if is_submission():
    for name, limit in LIMITS_WITH_WAITING.items():
        workflow.global_resources[name] = limit


onstart:
    # Snakemake's limit on jobs a second starts a timer that never ends at every pass of its loop; a test counts them.
    if is_local():
        workflow.scheduler.job_rate_limiter = None
        workflow.scheduler.resources["_job_count"] = sys.maxsize
        workflow.scheduler.resources.update(LIMITS_WITH_WAITING)
        # The worker reads torch while the first jobs, which do without it, run.
        if any("gpu" in job.rule.resources for job in workflow.dag.needrun_jobs()):
            shell('"$UNCHOKE_SCRIPTS"/warm --load extract_chunk')
    else:
        workflow.scheduler.resources["gpu"] = LIMITS["gpu"]
    refuse_impossible_encoders()


# UNCHOKE_WARM_STAY=1 leaves the worker to its idle time, for the next of several short runs.
STOP_WORKER = (
    "true"
    if os.environ.get("UNCHOKE_WARM_STAY") == "1"
    else '"$UNCHOKE_SCRIPTS"/warm --stop'
)


onsuccess:
    shell(f"{STOP_WORKER} > /dev/null")


onerror:
    shell(f"{STOP_WORKER} > /dev/null")


# Snakemake leaves out the hooks of modules. One that the other Snakefile has below its module takes the place of these.
if IS_MODULE:
    for hook in ("onstart", "onsuccess", "onerror"):
        both = [getattr(workflow, f"_{hook}"), globals()[hook].func]
        setattr(
            workflow, f"_{hook}", lambda log, both=both: [each(log) for each in both]
        )
