"""What to do about files that a listing leaves out, by the endings of their names."""

from unchoke.images import heif

PACKED = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".npz", ".zst")
_ADVICE = {
    heif.ENDINGS: f"{heif.INSTALL} reads them, or save them as JPEG",
    (".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"): "develop them to JPEG or TIFF",
    (".jp2", ".j2k", ".jxl", ".psd", ".svg", ".pdf", ".ppm", ".pgm", ".tga"): "save them as PNG or JPEG",
    (".dcm", ".nii"): "export them as PNG or 16-bit TIFF, or as arrays (docs/arrays.md)",
    (".mp4", ".mov", ".avi", ".mkv"): "save frames of it as PNG or JPEG",
    PACKED: "unpack it",
}


def what_to_do(ending: str) -> str:
    """What to do about files of an ending; empty where nothing is known. ending: in small letters, with its point."""
    return next((advice for endings, advice in _ADVICE.items() if ending in endings), "")
