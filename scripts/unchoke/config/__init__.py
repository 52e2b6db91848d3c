"""The one model of the config: every key with its type, unit, default and description.

Schema, defaults and the table of keys are written from it by ``scripts/write_config_docs.py``. It imports
neither torch nor pandas, since the Snakefile reads it in every job.
"""

from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from unchoke.config.base import NAME, Section
from unchoke.config.dataset import Dataset
from unchoke.config.decoding import Decoding
from unchoke.config.encoders import Encoder
from unchoke.config.evaluation import Evaluation
from unchoke.config.gpu import Gpu
from unchoke.config.heads import Head, Knn, Linear, Logistic, Ridge
from unchoke.errors import UnchokeError
from unchoke.names import suggestion

Name = Annotated[str, Field(pattern=NAME)]


class Config(Section):
    """A run of Unchoke. Sections that a file leaves out are those of `config/config.yaml`."""

    dataset: Dataset = Dataset(name="digits", kind="digits", path="resources/digits")
    """Where the images are and how they are split."""

    chunk_size: int = Field(64, ge=1)
    """Images per chunk: one job, and one file a pooling."""

    decoding: Decoding = Decoding()
    """How image files become pixels."""

    encoders: dict[Name, Encoder] = Field(
        {"b0": Encoder(model="efficientnet_b0", weights="untrained", image_size=64)}, min_length=1
    )
    """The frozen encoders, by the names that results carry."""

    heads: dict[Name, Head] = {
        "logistic": Logistic(kind="logistic"),
        "linear": Linear(kind="linear"),
        "ridge": Ridge(kind="ridge"),
        "neighbours": Knn(kind="knn", k=[10, 20, 100]),
    }
    """The heads to try on every encoder, by the names that results carry; {} stops at the features."""

    evaluation: Evaluation = Evaluation()
    """How sure the figures are."""

    gpu: Gpu = Gpu()
    """The device that encoders run on."""

    @model_validator(mode="after")
    def _heads_find_their_features(self) -> "Config":
        for name, head in self.heads.items():
            for encoder in head.encoders or self.encoders:
                if encoder not in self.encoders:
                    raise ValueError(
                        f"heads.{name}.encoders: no encoder '{encoder}': {suggestion(encoder, self.encoders)}"
                    )
                if head.pool not in (pools := self.encoders[encoder].pools):
                    raise ValueError(
                        f"heads.{name} reads pool '{head.pool}', but encoders.{encoder}.pools has only {pools}: "
                        f"add it there, or name the encoders of this head in heads.{name}.encoders"
                    )
                views = self.encoders[encoder].views
                for view in {*head.train_views, *head.test_views} - set(views):
                    raise ValueError(
                        f"heads.{name} reads view '{view}', but encoders.{encoder}.views has only {views}: add it there"
                    )
        return self


def load_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`raw` with every default filled in, as plain data; UnchokeError lists all that is wrong with it."""
    try:
        return Config.model_validate(raw).model_dump()
    except ValidationError as error:
        problems = [_readable(problem) for problem in error.errors()]
        raise UnchokeError(
            "The config does not hold.\n" + "\n".join(f"  - {problem}" for problem in problems),
            do="every key, unit and default stands in config/README.md",
        ) from None


def _readable(problem: Any) -> str:
    """One line: where, what was expected and found, and the nearest right name for a kind that does not exist."""
    place = list(problem["loc"])
    if place[0:1] == ["heads"]:
        del place[2:3]  # pydantic's own mark of the kind, which no file contains
    where = ".".join(str(part) for part in place if part != "[key]")
    context = problem.get("ctx", {})
    if problem["type"] == "value_error":
        message = str(context["error"])
    elif problem["type"] == "union_tag_invalid":
        kinds = context["expected_tags"].replace("'", "").split(", ")
        message = f"unknown kind '{context['tag']}': {suggestion(context['tag'], kinds)}"
    elif problem["type"] == "union_tag_not_found":
        message = "the key 'kind' is missing"
    elif problem["type"] == "missing":
        where, message = ".".join(where.split(".")[:-1]), f"the key '{place[-1]}' is missing"
    else:
        message = f"{problem['msg'][0].lower()}{problem['msg'][1:]}, found {problem['input']!r}"
    return f"{where}: {message}" if where else message
