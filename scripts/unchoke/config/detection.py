"""How words are read from the maps that a head predicts."""

from typing import Annotated, Literal

from pydantic import Field

from unchoke.config.base import Section

Share = Annotated[float, Field(gt=0, lt=1)]


class Detection(Section):
    """How words are read from the probability maps of whole images."""

    binarise: list[Share] = Field([0.2, 0.3, 0.4, 0.5, 0.6], min_length=1)
    """A pixel belongs to a word if its probability is above; the value with the best H-mean on val is kept."""

    box_scores: list[Share] = Field([0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], min_length=1)
    """Least mean probability of a word; the value with the best H-mean on val is kept."""

    unclip: float = Field(1.5, gt=0, le=10)
    """A word is shrunk in the map; it grows again by area × unclip / perimeter (Liao et al. 2020)."""

    min_side: float = Field(3.0, ge=1)
    """Least shorter side of a word before it grows, px."""

    max_words: int = Field(1000, ge=1, le=100_000)
    """Most words of an image; those with the highest scores are kept."""

    outlines: bool = False
    """Whether words are outlines of any number of corners, as curved words need; false: turned rectangles."""

    protocol: Literal["icdar2015", "maximal"] = "icdar2015"
    """Which detection finds which word. `icdar2015`: each word in turn takes the first free detection with an
    intersection over union above 0.5 (Karatzas et al. 2015). `maximal`: as many pairs as there can be. Heads are
    ranked and compared by the H-mean of all words of a split together."""
