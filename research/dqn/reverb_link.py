"""An actor's connection to the replay server of a learner, which may be away for a while."""

from __future__ import annotations

import socket
import time
from typing import Any

import tensorflow as tf

from official.compat.reverb_server import reverb, reverb_variable_container
from research.dqn import reverb_replay


class Link:
    """An actor's connection to a learner's server.

    Args:
      address: 'host:port'.
      frame_shape: height and width of the actor's frames.
      weights: the variables of the actor's Q-network, which `pull` sets.
      connect_seconds: how long to try at first.
      reconnect_seconds: how long the server may be gone later, such as for a learner that is
        stopped and started again.

    Raises:
      ValueError: the address is none, or the learner's frames or Q-network differ.
      ConnectionError: no server answers.
    """

    def __init__(
        self,
        address: str,
        frame_shape: tuple[int, int],
        weights: Any,
        connect_seconds: float = 20,
        reconnect_seconds: float = 600,
    ):
        _check_address(address)
        self.address = address
        self.client = reverb.Client(address)
        self._frame_shape = tuple(frame_shape)
        self._reconnect_seconds = reconnect_seconds
        self._variables = reverb_replay.broadcast(weights, reverb_replay.Rules(1, 1, 1.0, True))
        self._seen = time.monotonic()
        while not self._is_there():
            if time.monotonic() - self._seen > connect_seconds:
                raise ConnectionError(
                    f'No replay server answers at {address}; start the learner '
                    'first, and see which address it prints.'
                )
        self._container = reverb_variable_container.ReverbVariableContainer(address)
        self.pull()

    def pull(self) -> None:
        """Gets the newest weights, if the server is there.

        Raises:
          ConnectionError: it has been gone for too long.
          ValueError: it is another learner's.
        """
        if self._is_there():
            self._seen = time.monotonic()
            try:
                self._container.update(self._variables)
                return
            except tf.errors.OpError:  # It went in this moment.
                pass
        gone = time.monotonic() - self._seen
        if gone > self._reconnect_seconds:
            raise ConnectionError(
                f'The replay server at {self.address} has been gone for '
                f'{gone:.0f} s; this actor ends.'
            )

    @property
    def rules(self) -> reverb_replay.Rules:
        """The learner's."""
        return reverb_replay.Rules(*(value.numpy().item() for value in self._variables['rules']))

    @property
    def updates(self) -> int:
        """Parameter updates that the weights have seen."""
        return int(self._variables['updates'].numpy())

    @property
    def is_done(self) -> bool:
        """Whether the learner has come to its end."""
        return bool(self._variables['done'].numpy())

    def _is_there(self) -> bool:
        try:
            tables = self.client.server_info(reverb_replay.ANSWER_SECONDS)
        except (reverb.ReverbError, RuntimeError):
            return False
        if not tables.keys() >= {reverb_replay.TRANSITIONS, reverb_replay.WEIGHTS}:
            raise ValueError(
                f'{self.address} is no replay server of a DQN learner: its tables are '
                f'{", ".join(tables)}.'
            )
        weights = tables[reverb_replay.WEIGHTS].signature['weights']
        here = [tuple(v.shape) for v in self._variables['weights']]
        there = [tuple(spec.shape) for spec in weights]
        frame_shape = tuple(tables[reverb_replay.TRANSITIONS].signature['frames'].shape[1:])
        if frame_shape != self._frame_shape:
            raise ValueError(
                f'The learner at {self.address} has frames of {frame_shape} pixels, '
                f'this actor has {self._frame_shape}.'
            )
        if here != there:
            raise ValueError(
                f'The learner at {self.address} has a Q-network with weights of '
                f'{there}, this actor has {here}.'
            )
        return tables[reverb_replay.WEIGHTS].current_size > 0  # Else it is about to begin.


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(':')
    if not host or not port.isdigit():
        raise ValueError(
            f"{address!r} is no address; one is 'host:port', as the learner prints it."
        )
    try:
        socket.getaddrinfo(host.strip('[]'), int(port))
    except OSError as error:
        raise ValueError(f'The host of {address} is not known: {error}.') from error
