"""Messages of clients to the warm worker, received in pieces, so that no client keeps another waiting.

A message is its length in four bytes (big endian), then its fields with NUL between. With the first bytes a client
passes its stdout and stderr, where it wants a command run.
"""

import contextlib
import os
import socket
import struct
import time
from dataclasses import dataclass, field

LONGEST_S = 5.0  # time for a connected client to send its whole message
LONGEST_BYTES = 8 * 2**20  # four times the longest command line on Linux
_OUTPUTS = 2


@dataclass(eq=False)
class Message:
    """The part of a message received so far. Descriptors stay in `outputs` until they are taken over."""

    connection: socket.socket
    deadline: float = field(default_factory=lambda: time.monotonic() + LONGEST_S)
    data: bytearray = field(default_factory=bytearray)
    outputs: list[int] = field(default_factory=list)

    def receive(self) -> bool:
        """Receive available bytes without waiting; True when the message is whole. ValueError where it is malformed."""
        try:
            part, outputs, flags, _ = socket.recv_fds(self.connection, 2**16, _OUTPUTS)
        except BlockingIOError:
            return False
        self.outputs += outputs
        if flags & socket.MSG_CTRUNC or len(self.outputs) > _OUTPUTS:
            raise ValueError(f"more than {_OUTPUTS} descriptors")
        if not part:
            raise ValueError("a message was cut short")
        self.data += part
        return self._is_whole()

    def _is_whole(self) -> bool:
        if len(self.data) < 4:
            return False
        length: int = struct.unpack_from("!I", self.data)[0]
        if length > LONGEST_BYTES or len(self.data) > 4 + length:
            raise ValueError(f"a message of {length} bytes, or more behind it")
        return len(self.data) == 4 + length

    def fields(self) -> list[str]:
        """The fields of a whole message; ValueError where its descriptors are neither two nor none."""
        if len(self.outputs) not in (0, _OUTPUTS):
            raise ValueError(f"{len(self.outputs)} descriptors, where stdout and stderr were expected")
        return os.fsdecode(bytes(self.data[4:])).split("\0")

    def close(self) -> None:
        """Let go of the connection and of every descriptor that came with it."""
        while self.outputs:
            with contextlib.suppress(OSError):
                os.close(self.outputs.pop())
        self.connection.close()


def refuse_other_user(connection: socket.socket) -> None:
    """PermissionError where the other end belongs to another user; on macOS the folder alone keeps others out."""
    if not hasattr(socket, "SO_PEERCRED"):
        return
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    if (uid := struct.unpack("3i", credentials)[1]) != os.getuid():
        raise PermissionError(f"a client of user {uid}")
