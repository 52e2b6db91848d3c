# Refuses, before any job, encoders that cannot be what the config asks for.

from importlib.util import find_spec
from subprocess import CalledProcessError

from snakemake.exceptions import WorkflowError

from unchoke.errors import UnchokeError
from unchoke.machine.limits import measured_peaks
from unchoke.targets.stores import first_store


def untried_encoders():
    """Encoders by name, as the config asks for them, of which no run has planned the memory and stored every array."""
    found = {}
    for name, encoder in config["encoders"].items():
        asked = {key: encoder[key] for key in ("model", "image_size", "strides")}
        if MASKS:
            asked["image_size"] = config["patches"]["size"]
        asked["pools"] = [] if MASKS else encoder["pools"]
        store = first_store(config, name)
        folder = Path(store.metadata.replace("<results>", RESULTS)).parent
        stored = [folder / array.partition("/")[0] for array in store.arrays]
        if not was_planned(name, asked) or not all(map(Path.exists, stored)):
            found[name] = asked
    return found


def was_planned(name, asked):
    """Whether there is a memory plan of an encoder with this model and image size."""
    try:
        planned = measured_peaks(Path(RESULTS, "plans", f"{name}.json"))
    except (FileNotFoundError, UnchokeError):
        return False
    size = asked["image_size"] or planned["image_size"]
    return (planned["model"], planned["image_size"]) == (asked["model"], size)


def refuse_impossible_encoders():
    """Stop before any job where a model has not what the config asks of it; jobs of other encoders would run first."""
    asked = untried_encoders()
    if not asked or {job.rule.name for job in workflow.dag.needrun_jobs()} <= {
        "verify",
        "doctor",
    }:
        return
    if (
        find_spec("torch") is None
    ):  # jobs bring their own environment: planning will ask
        print(
            "torch is not in Snakemake's environment: encoders are asked when they are planned"
        )
        return
    client = "scripts/warm" if is_local() else "scripts/warm --cold"
    try:
        shell(
            f"{client} check_encoders --encoders {{asked:q}}", asked=json.dumps(asked)
        )
    except CalledProcessError:
        shell(f"{STOP_WORKER} > /dev/null")
        raise WorkflowError(
            "No job was started: an encoder cannot be what the config asks for; see above."
        ) from None
