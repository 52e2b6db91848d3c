# What jobs may take at once, also where the command line says nothing: Snakemake takes a profile's whole block of
# resources away as soon as --resources gives one of them.

from unchoke.limits import (
    announce_cards,
    refuse_missing_cards,
    threads_of_job,
    visible_cards,
)

LIMITS = resource_limits(
    {
        name: workflow.global_resources[name].value
        for name in ("gpu", "vram_mb", "mem_mb")
        if name in workflow.global_resources
    },
    config["gpu"]["vram_mb"],
    host_memory_mb(),
)


def is_local():
    """Whether jobs run on this machine, not on a cluster."""
    return workflow.global_resources["_nodes"].value is None


# A job of a cluster has memory of its own, and one card however many chunks are grouped in it: Snakemake would ask for
# as many cards as the limit allows. How many jobs have a card at once is the scheduler's, below.
for name, limit in (LIMITS if is_local() else {"gpu": 1}).items():
    workflow.global_resources[name] = limit


# The client gives each of so many jobs at once a card, and a worker, of its own. A job of a cluster has one.
CARDS = LIMITS["gpu"] if is_local() else 1
announce_cards(CARDS)
if CARDS > 1 and config["gpu"]["device"] in ("auto", "cuda"):
    refuse_missing_cards(CARDS, visible_cards())
GPU_THREADS = threads_of_job(config["decoding"]["threads"], workflow.cores, CARDS)


def cluster_group(name, *parts, number="chunk"):
    """Which of a rule's jobs go into one submission to a cluster: as many neighbours as group-components says for `name`.

    `parts` and all wildcards but `number` keep jobs apart. Snakemake's own choice is a drawn one, which grows when it
    looks at the jobs again; and a submission is not told of it, and would give each of its jobs a Snakemake of its own.
    """
    if is_local():
        return None

    def group(wildcards):
        settings = workflow.group_settings
        size = (
            sys.maxsize
            if workflow.remote_exec
            else settings.group_components.get(name, 1)
        )
        kept = [text for key, text in wildcards.items() if key not in (number, "band")]
        chosen = "-".join([name, *parts, *kept, str(int(wildcards[number]) // size)])
        if chosen not in settings.group_components:
            settings.group_components = {
                **settings.group_components,
                chosen: sys.maxsize,
            }
        return chosen

    return group


onstart:
    if not is_local():
        workflow.scheduler.resources["gpu"] = LIMITS["gpu"]
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
