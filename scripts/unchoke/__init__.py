"""Unchoke: frozen image features once, many heads in minutes, nothing lost.

Functions for the results of a run:

    open_features(path)             the features of an encoder, after every chunk was compared with the seal
    load_head(path)                 a trained head, for features of its encoder, or a network
    predict(images, checkpoint)     from pictures to predictions
    segment(image, checkpoint)      from a large image to its mask
    detect(image, checkpoint)       from an image to the outlines of its words
    compare(a, b)                   how two stores of features differ, such as those of two machines

They import their modules at the first call, so that ``import unchoke`` is fast.

The letters behind the underscore of an array's name give its axes:

    N  images      D  feature dimensions    C  classes
    B  a batch     H  height (px)           W  width (px)
    T  tokens      P  prefix tokens (class token, registers)
    V  views       R  replicates (seeds, few-shot draws)
    K  classes of pixels            S  side of a patch (px)
    I  images, where N is patches   C  channels, where h and w are those of a map

The packages have the order in which an image travels, and each imports only from earlier ones.
``tests/unchoke/test_layers.py`` lists the order and tests it.
"""

import os

TYPE_CHECKING = False  # importing typing would cost more than all the rest
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from unchoke.api.detect import detect
    from unchoke.api.predict import predict
    from unchoke.api.segment import segment
    from unchoke.heads.checkpoint import Head
    from unchoke.networks.checkpoint import TrainedNetwork
    from unchoke.store.compare import Comparison
    from unchoke.store.read import FeatureStore
    from unchoke.store.remote import RemoteStore

__version__ = "0.1.0"
__all__ = ["compare", "detect", "load_head", "open_features", "predict", "segment"]


def open_features(
    path: "str | os.PathLike[str]", storage_options: "Mapping[str, Any] | None" = None
) -> "FeatureStore | RemoteStore":
    """The sealed store of an encoder, ``features/<encoder>.zarr`` of a run's results, found complete.

    ``store.features(pool)`` is float16 or float32 (N, D) by image_id, ``store.valid()`` bool (N,).
    path: a folder, or a URL such as ``s3://bucket/tiny.zarr`` with ``tiny.sealed.json`` beside it, whose files are
    compared with the seal when they are read. storage_options: for a URL, what fsspec hands to its filesystem.
    Raises UnchokeError with the missing or changed chunk, and the command that rebuilds it.
    """
    from pathlib import Path

    from unchoke.store.read import open_complete
    from unchoke.store.remote import is_url, open_remote

    return open_remote(str(path), storage_options) if is_url(str(path)) else open_complete(Path(path))


def compare(a: "str | os.PathLike[str]", b: "str | os.PathLike[str]", tolerance: float = 0.0) -> "Comparison":
    """How two sealed stores, each a folder or a URL, differ: ``print(compare(a, b))`` says it in a page.

    ``.equal``, and ``.within_tolerance`` of a relative difference of rows; see ``unchoke.store.compare.Comparison``.
    """
    from unchoke.store.compare import compare_stores

    return compare_stores(open_features(a), open_features(b), tolerance)


def load_head(path: "str | os.PathLike[str]") -> "Head | TrainedNetwork":
    """The head or network of a checkpoint, ``checkpoints/<encoder>/<head>.safetensors`` of a run's results.

    ``head.logits(x_ND)`` and ``head.probabilities(x_ND)`` take features of ``head.settings["pool"]``; of a network they
    take activations at its cut, or pixels. The logits are raw, the probabilities calibrated on val.
    Raises UnchokeError where the file holds neither.
    """
    from pathlib import Path

    from unchoke.networks.checkpoint import read_trained

    return read_trained(Path(path))


def __getattr__(name: str) -> object:
    """``predict``, ``segment`` and ``detect``, imported when they are first asked for."""
    if name == "predict":
        from unchoke.api.predict import predict

        return predict
    if name == "segment":
        from unchoke.api.segment import segment

        return segment
    if name == "detect":
        from unchoke.api.detect import detect

        return detect
    raise AttributeError(f"module 'unchoke' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
