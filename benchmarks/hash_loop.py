"""The peer of cleaning_at_scale.py: read the rows of an HDF5 file one slice after the other, and hash each of them."""

import sys

import h5py
import xxhash

SLICE = 1024  # rows


def main() -> None:
    file, key = sys.argv[1:]
    digests = []
    with h5py.File(file) as opened:
        rows = opened[key]
        for start in range(0, len(rows), SLICE):
            digests += [xxhash.xxh3_128_digest(row) for row in rows[start : start + SLICE]]
    print(f"{len(digests)} rows, {len(set(digests))} different")


if __name__ == "__main__":
    main()
