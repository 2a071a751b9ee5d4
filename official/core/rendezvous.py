"""The workers of a cluster meet before TensorFlow starts, which waits without a word or an end."""

from __future__ import annotations

import contextlib
import socket
import sys
import time

_POLL_SECONDS = 0.5
_REPORT_SECONDS = 30
_CONNECT_SECONDS = 2


def meet(workers: dict[str, str], own: str, seconds: float) -> None:
    """Returns when every worker listens at its address.

    This process listens at its own until it has seen all others; then TensorFlow takes the port,
    and those that come later find its server there. Every half minute a line on stderr names the
    workers that are missing. A signal ends the wait as it ends any Python program.

    Args:
      workers: 'host:port' of each worker by name, such as 'worker 0'.
      own: name of this process.
      seconds: time after which the wait is given up.

    Raises:
      ConnectionError: if this process cannot listen at its address, or a worker has not come.
    """
    missing = {name: address for name, address in workers.items() if name != own}
    start = told = time.monotonic()
    with _listening(own, workers[own]):
        while missing:
            missing = {name: address for name, address in missing.items() if not _answers(address)}
            now = time.monotonic()
            names = ', '.join(f'{name} ({address})' for name, address in missing.items())
            if missing and now - start >= seconds:
                raise ConnectionError(
                    f'{own}: {names} did not come within {seconds / 60:g} minutes; start every '
                    f'worker of TF_CONFIG, or allow more with --wait_minutes.'
                )
            if missing and now - told >= _REPORT_SECONDS:
                told = now
                print(f'{own}: still waiting for {names}.', file=sys.stderr, flush=True)
            if missing:
                time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def _listening(own: str, address: str):
    """Listens at the port of `address` inside; TensorFlow does on all interfaces, too."""
    port = int(address.rpartition(':')[2])
    with socket.socket() as listener:
        # Not to wait until the last of an earlier run's connections has timed out.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(('', port))
            listener.listen(1024)  # Nobody is accepted: that the port answers is all.
        except OSError as error:
            raise ConnectionError(
                f'{own} cannot listen at {address}, its address in TF_CONFIG: {error.strerror}. '
                f'Another process may have the port {port}.'
            ) from None
        yield


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(':')
    try:
        socket.create_connection((host.strip('[]'), int(port)), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
