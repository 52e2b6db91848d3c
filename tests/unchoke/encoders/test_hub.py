"""The hub: whether it answers is known within the patience, for several models at once."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from unchoke.encoders.hub import unreachable, unreachable_models

MODEL = "efficientnet_b0.ra_in1k"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@contextmanager
def hub(status: int) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("status", "reached"), [(200, True), (401, True), (404, True), (503, False), (407, False)])
def test_a_hub_that_answers_is_reached(monkeypatch: pytest.MonkeyPatch, status: int, reached: bool) -> None:
    with hub(status) as url:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        reason = unreachable(MODEL, 5.0)
    assert (reason == "") == reached and (reached or str(status) in reason)


def test_a_silent_hub_costs_the_patience_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # it takes connections and says nothing
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        began = time.monotonic()
        found = unreachable_models([MODEL, "resnet18.a1_in1k", "resnet50.a1_in1k"], 0.5)
    assert time.monotonic() - began < 1.5
    assert all("no answer" in reason or "timed out" in reason for reason in found.values())


def test_cached_weights_need_no_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in unreachable(MODEL, 5.0)
    folder = cache / f"models--timm--{MODEL}"
    (folder / "snapshots/abc").mkdir(parents=True)
    (folder / "snapshots/abc/model.safetensors").write_bytes(b"weights")
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("abc")
    assert unreachable(MODEL, 5.0) == ""
