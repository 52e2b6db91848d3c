"""Random numbers of an image by seed, time and place, whatever batch the image is in and whatever was drawn before.

They come from NumPy's Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), whose stream begins
at a counter: here image and time, under a key of seed and place. So a batch that is cut into micro-batches, done again
or resumed draws the same numbers, on every device.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

_WORD = 2**64


def uniforms(seed: int, time: int, image_id_B: NDArray[np.int64], place: str, count: int) -> NDArray[np.float32]:
    """Numbers in [0, 1) for each image, float32 (B, count).

    time: a step or an epoch; `place` says which. place: what the numbers are for, such as the name of a layer.
    """
    drawn_BN = np.empty((len(image_id_B), count), np.float32)
    source = np.random.Philox(key=_key(seed, place))
    generator, state = np.random.Generator(source), source.state
    for row, image_id in enumerate(image_id_B.tolist()):
        state["state"]["counter"][:] = (0, image_id % _WORD, time, 0)
        source.state = state
        generator.random(dtype=np.float32, out=drawn_BN[row])
    return drawn_BN


def generator_of(seed: int, time: int, place: str) -> np.random.Generator:
    """A generator for what concerns a whole batch."""
    return np.random.Generator(np.random.Philox(key=_key(seed, place), counter=[0, 0, time, 1]))


def _key(seed: int, place: str) -> NDArray[np.uint64]:
    return np.array([seed, zlib.crc32(place.encode())], np.uint64)
