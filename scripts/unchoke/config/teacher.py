"""A network that mask heads learn from, or that segments in their place."""

from typing import Annotated

from pydantic import AfterValidator, Field

from unchoke.config.base import MAX_STEPS, Section, without_braces


class Teacher(Section):
    """A network that mask heads learn from, or that segments in their place."""

    file: Annotated[str, AfterValidator(without_braces)] = Field(min_length=1)
    """A Python file of yours with `load(checkpoint, device)`; what it gives is called with patches, float32 (B, 3, S,
    S) from 0 to 1, and answers with `logits` (B, classes, h, w) and, if it has any, `features` (B, C, h, w). It runs as
    part of Unchoke: name only files that you trust."""

    checkpoint: Annotated[str, AfterValidator(without_braces)] = Field(min_length=1)
    """The file with its weights, which `load` gets."""

    features: bool = False
    """Whether its features are stored too, which `distil.features` of a mask head needs."""


class Distil(Section):
    """What a mask head learns from the teacher before it learns from masks; images without a mask take part."""

    features: int = Field(0, ge=0, le=MAX_STEPS)
    """The first epochs, in which what the last convolution sees is brought close to the teacher's features; linear
    heads have no such map."""

    logits: int = Field(0, ge=0, le=MAX_STEPS)
    """The next epochs, in which the logits are brought close to the teacher's. Those that remain of `epochs` are for
    the masks."""

    temperature: float = Field(1.0, gt=0)
    """What logits are divided by before they are compared (Hinton et al. 2015)."""
