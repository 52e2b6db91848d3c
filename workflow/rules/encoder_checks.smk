# Refuses, before any job, encoders that cannot be what the config asks for, and a decoder that is not installed.

from importlib.util import find_spec
from subprocess import CalledProcessError

from snakemake.exceptions import WorkflowError

from unchoke.images.decoders import check_installed
from unchoke.targets.untried import refuse_unknown_models, untried_encoders

# A misspelt name stops a dry run too. The doctor says it among all else, and jobs of a cluster need not ask again.
if not (workflow.remote_exec or {"doctor", "verify"} & set(sys.argv)):
    refuse_unknown_models(config, Path(RESULTS))
    if find_spec("torch") is not None:  # else jobs bring their own environment
        check_installed(config["decoding"]["decoder"])

# Runs of these rules alone use no encoder. Their targets lie before all that do, also behind the checkpoint.
WITHOUT_ENCODERS = (
    "doctor",
    "verify",
    "build_manifest",
    "fingerprint_chunk",
    "seal_fingerprints",
    "clean_images",
    "read_decisions",
    "select_rows",
    "draw_cleaning",
)


def refuse_impossible_encoders():
    """Stop before any job where a model has not what the config asks of it; jobs of other encoders would run first."""
    asked = untried_encoders(config, Path(RESULTS))
    due = {job.rule for job in workflow.dag.needrun_jobs()}
    ours = {rule for rule in due if rule.module_globals is globals()}
    free = {getattr(rules, name).rule for name in WITHOUT_ENCODERS if rules.has(name)}
    if not asked or ours <= free:
        return
    # Where jobs bring their own environment, planning will ask.
    if find_spec("torch") is None:
        print(
            "torch is not in Snakemake's environment: encoders are asked when they are planned"
        )
        return
    way = "" if is_local() else "--cold"
    try:
        shell(
            '"$UNCHOKE_SCRIPTS"/warm {way} check_encoders --encoders {asked:q}',
            way=way,
            asked=json.dumps(asked),
        )
    except CalledProcessError:
        shell(f"{STOP_WORKER} > /dev/null")
        raise WorkflowError(
            "No job was started: an encoder cannot be what the config asks for; see above."
        ) from None
