# What jobs may take at once, also where the command line says nothing: Snakemake takes a profile's whole block of
# resources away as soon as --resources gives one of them.

LIMITS = resource_limits(
    {
        name: workflow.global_resources[name].value
        for name in ("gpu", "vram_mb", "mem_mb")
        if name in workflow.global_resources
    },
    config["gpu"]["vram_mb"],
    host_memory_mb(),
)
for name, limit in LIMITS.items():
    workflow.global_resources[name] = limit


def is_local():
    """Whether jobs run on this machine, not on a cluster."""
    return workflow.global_resources["_nodes"].value is None


onstart:
    # Snakemake's limit on jobs a second starts a timer that never ends at every pass of its loop; a test counts them.
    if is_local():
        workflow.scheduler.job_rate_limiter = None
        workflow.scheduler.resources["_job_count"] = sys.maxsize
        # The worker reads torch while the first jobs, which do without it, run.
        if any("gpu" in job.rule.resources for job in workflow.dag.needrun_jobs()):
            shell("scripts/warm --load extract_chunk")


onsuccess:
    shell("scripts/warm --stop > /dev/null")


onerror:
    shell("scripts/warm --stop > /dev/null")
