import re
import socket
import threading

import pytest

from official.core import rendezvous


def _addresses(count):
    """Addresses of free ports."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(('localhost', 0))
    addresses = {
        f'worker {i}': f'localhost:{each.getsockname()[1]}' for i, each in enumerate(sockets)
    }
    for each in sockets:
        each.close()
    return addresses


def test_all_meet_whoever_comes_first_and_the_ports_are_free_again(monkeypatch):
    monkeypatch.setattr(rendezvous, '_POLL_SECONDS', 0.05)
    addresses, servers, lock = _addresses(3), [], threading.Lock()

    def work(name):
        rendezvous.meet(addresses, name, 20)
        server = socket.socket()  # TensorFlow's.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(('', int(addresses[name].rpartition(':')[2])))
        server.listen()
        with lock:
            servers.append(server)

    threads = [threading.Thread(target=work, args=(name,)) for name in addresses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(servers) == 3
    for server in servers:
        server.close()


def test_who_is_missing_is_named_and_the_wait_ends(monkeypatch, capsys):
    monkeypatch.setattr(rendezvous, '_POLL_SECONDS', 0.01)
    monkeypatch.setattr(rendezvous, '_REPORT_SECONDS', 0.05)
    addresses = _addresses(3)
    host, port = addresses['worker 2'].split(':')
    with socket.socket() as there:
        there.bind((host, int(port)))
        there.listen()
        absent = f'worker 1 ({addresses["worker 1"]})'
        expected = f'worker 0: {absent} did not come within 0.005 minutes; start every worker'
        with pytest.raises(ConnectionError, match='^' + re.escape(expected)):
            rendezvous.meet(addresses, 'worker 0', 0.3)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert set(lines) == {f'worker 0: still waiting for {absent}.'}


def test_a_port_that_is_taken_is_named():
    addresses = _addresses(2)
    port = int(addresses['worker 0'].split(':')[1])
    with socket.socket() as taken:
        taken.bind(('', port))
        taken.listen()
        with pytest.raises(
            ConnectionError,
            match=(
                f'^worker 0 cannot listen at localhost:{port}, its address in TF_CONFIG: Address '
                f'already in use. Another process may have the port {port}.$'
            ),
        ):
            rendezvous.meet(addresses, 'worker 0', 1)
