"""Stage: the seal, which makes finished chunks one store, and the check that a sealed store is still whole."""

from pathlib import Path
from typing import Any

from unchoke import versions
from unchoke.files import files_sha256
from unchoke.store import chunks, tables
from unchoke.store.cuts import chunk_count


def seal_store(store: Path, manifest: Path, rows: Path) -> dict[str, Any]:
    """Seal a store whose chunks are all there; return the seal.

    manifest: of the images, or of the patches, that are its rows.
    Raises UnchokeError with the chunk and the command that rebuilds it where one is missing, damaged, made from other
    rows than the manifest's, or made with other settings than the first.
    """
    n_rows = tables.count_rows(manifest)
    first = chunks.read_record(store, 0)
    settings, n_chunks = first["settings"], chunk_count(n_rows, first["shapes"][chunks.VALID][0])
    records = [chunks.read_record(store, chunk) for chunk in range(n_chunks)]
    for chunk, record in enumerate(records):
        files = tables.rows_files(rows, chunk, settings.get("rows_files", 1))
        _refuse_other_origin(store, chunk, record, settings, files_sha256(files))
    return chunks.seal(
        store,
        n_images=n_rows,
        shapes=first["shapes"],
        facts={"version": versions.SEAL, "settings": settings},
        origins={
            "rows_sha256": [record["rows_sha256"] for record in records],
            "invalid": [entry for record in records for entry in record["invalid"]],
        },
        chunks_per_shard=first.get("chunks_per_shard", 1),
    )


def _refuse_other_origin(
    store: Path, chunk: int, record: dict[str, Any], settings: dict[str, Any], rows_sha256: str
) -> None:
    path = chunks.record_file(store, chunk)
    made = record["settings"]
    if other := [key for key in {**settings, **made} if made.get(key) != settings.get(key)]:
        found = ", ".join(f"{key} {made.get(key)}" for key in other)
        expected = ", ".join(f"{key} {settings.get(key)}" for key in other)
        raise chunks.damaged(store, chunk, path, found, f"{expected}, as chunk 0 has it")
    if record["rows_sha256"] != rows_sha256:
        raise chunks.damaged(store, chunk, path, "made from other rows than the manifest's")
