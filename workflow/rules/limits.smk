# What jobs may take at once, also where the command line says nothing: Snakemake takes a profile's whole block of
# resources away as soon as --resources gives one of them.


include: "progress.smk"


from unchoke.machine.limits import (
    announce_cards,
    host_memory_mb,
    refuse_missing_cards,
    resource_limits,
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


def is_submission():
    """Whether this is the Snakemake that runs the jobs of a submission, on a node of a cluster."""
    return workflow.remote_exec and is_local()


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
# Of two chunk jobs on a card, one waits at the worker (rules/worker.smk): each counts for half the threads that one has.
WAITING = is_local() and os.environ.get("UNCHOKE_WARM") != "0"
CHUNK_THREADS = max(1, GPU_THREADS // 2) if WAITING else GPU_THREADS


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
