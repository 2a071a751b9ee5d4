"""The replay server against plain lists."""

import functools
import time

import numpy as np
import pytest
import tensorflow as tf

from research.dqn import replay
from tests.research.dqn import plain_replay

reverb = pytest.importorskip(
    'reverb',
    reason='dm-reverb exists for TensorFlow 2.15 on Python 3.11 only',
    exc_type=ImportError,
)

from research.dqn import reverb_link, reverb_replay  # noqa: E402

SHAPE = (plain_replay.HEIGHT, plain_replay.WIDTH)


def serve(rules, **arguments):
    variables = reverb_replay.broadcast([tf.Variable([1.0, 2.0])], rules)
    server = reverb_replay.ReplayServer(
        SHAPE,
        variables,
        rules,
        **{
            'capacity_transitions': 100_000,
            'min_transitions': 1,
            'samples_per_insert': 1.0,
            'error_buffer_samples': 1e9,
            **arguments,
        },
    )
    server.publish(0)
    return server


def key_of(observation, action, reward, discount, following):
    """A transition as something that can be in a set; behind a terminal nothing is shown."""
    shown = following.tobytes() if discount else b''
    return (
        observation.tobytes(),
        int(action),
        round(float(reward), 5),
        round(float(discount), 5),
        shown,
    )


def keys(batch):
    return [key_of(*row) for row in zip(*batch[:5], strict=True)]


def everything(server, rules):
    """All transitions that are in the server, drawn until no more come up."""
    reader = reverb_replay.ReplayReader(server, rules)
    size, _ = server.transitions()
    return set(keys(reader.sample(20 * size + 20)))


@pytest.mark.parametrize(
    'num_streams, history, n_step', [(1, 4, 1), (3, 4, 1), (2, 3, 3), (1, 2, 5), (2, 1, 1)]
)
def test_transitions_equal_plain_lists_and_the_other_memory(num_streams, history, n_step):
    rules = reverb_replay.Rules(history, n_step, 0.9, True)
    server = serve(rules)
    writer = reverb_replay.TransitionWriter(reverb.Client(server.local_address), num_streams, rules)
    plain = plain_replay.PlainReplay(num_streams, history, n_step, 0.9)
    frames = replay.FrameReplay(6000, SHAPE, history, num_streams, n_step, 0.9)
    plain_replay.play([writer, plain, frames], 200, num_streams, seed=5)
    # The other memory sees an episode's end when enough frames have come after it.
    for _ in range(n_step):
        zeros = np.zeros(num_streams)
        for memory in (writer, plain, frames):
            memory.append(
                np.full((num_streams, *SHAPE), 9, np.uint8), zeros, zeros, zeros + 1, zeros == 0
            )
    assert writer.flush(10)
    expected = {
        key_of(t['observation'], t['action'], t['reward'], t['discount'], t['next_observation'])
        for t in plain.transitions(0).values()
    }
    assert len(expected) > 100 * num_streams
    assert everything(server, rules) == expected
    assert set(keys(frames.sample(100 * len(expected), key=0))) == expected
    # Nothing twice: as many as there are.
    assert server.transitions() == (len(plain.transitions(0)),) * 2
    server.stop()


def test_a_transition_can_be_sampled_at_once():
    rules = reverb_replay.Rules(4, 1, 0.9, True)
    server = serve(rules)
    writer = reverb_replay.TransitionWriter(reverb.Client(server.local_address), 1, rules)
    plain_replay.play([writer], 2, 1, seed=0, episode_length=1e9)
    assert writer.flush(5)
    batch = reverb_replay.ReplayReader(server, rules).sample(3)
    assert batch.observation.shape == (3, *SHAPE, 4) and batch.observation.dtype == np.uint8
    np.testing.assert_array_equal(batch.next_observation[0][..., -1], plain_replay.frame(1, 0))
    np.testing.assert_array_equal(batch.observation[0][..., -1], plain_replay.frame(0, 0))
    assert not batch.observation[0][..., :-1].any()
    assert [batch.weight.dtype, batch.index.dtype] == [np.float32, np.int64]
    server.stop()


def test_a_frame_is_stored_once(tmp_path):
    """Frames of noise do not compress: the server's checkpoint tells how many it holds."""
    rules, size, count = reverb_replay.Rules(4, 1, 0.9, True), 64, 300
    variables = reverb_replay.broadcast([tf.Variable([1.0])], rules)
    server = reverb_replay.ReplayServer(
        (size, size),
        variables,
        rules,
        capacity_transitions=1000,
        min_transitions=1,
        samples_per_insert=1.0,
        error_buffer_samples=1e9,
        directory=str(tmp_path),
    )
    server.publish(0)
    writer = reverb_replay.TransitionWriter(reverb.Client(server.local_address), 2, rules)
    random = np.random.default_rng(0)
    for number in range(count):
        zeros = np.zeros(2)
        writer.append(
            random.integers(0, 256, (2, size, size), np.uint8),
            zeros,
            zeros,
            zeros + 1,
            np.full(2, number % 50 == 0),
        )
    assert writer.flush(10)
    server.checkpoint()
    stored = sum(file.stat().st_size for file in tmp_path.rglob('chunks*'))
    assert 1.0 < stored / (2 * count * size * size) < 1.25
    server.stop()


def test_a_server_goes_on_from_its_checkpoint_unless_it_is_damaged(tmp_path):
    rules = reverb_replay.Rules(3, 1, 0.9, True)
    server = serve(rules, directory=str(tmp_path))
    writer = reverb_replay.TransitionWriter(reverb.Client(server.local_address), 2, rules)
    plain_replay.play([writer], 50, 2, seed=1)
    assert writer.flush(10)
    server.checkpoint()
    before, counts = everything(server, rules), server.transitions()
    server.stop()
    again = serve(rules, directory=str(tmp_path))
    assert everything(again, rules) == before and again.transitions() == counts
    again.stop()
    with open(next(tmp_path.rglob('chunks*')), 'r+b') as file:
        file.seek(20)
        file.write(b'damage')
    with pytest.raises(ValueError, match='the replay memory cannot be read .* Remove the folder'):
        serve(rules, directory=str(tmp_path))


def test_the_oldest_transitions_go_first():
    rules = reverb_replay.Rules(2, 1, 0.9, True)
    server = serve(rules, capacity_transitions=30)
    writer = reverb_replay.TransitionWriter(reverb.Client(server.local_address), 1, rules)
    plain = plain_replay.PlainReplay(1, 2, 1, 0.9)
    plain_replay.play([writer, plain], 100, 1, seed=1)
    assert writer.flush(10)
    newest = sorted(plain.transitions(0).items())[-30:]
    assert everything(server, rules) == {
        key_of(t['observation'], t['action'], t['reward'], t['discount'], t['next_observation'])
        for _, t in newest
    }
    server.stop()


def test_sampling_is_uniform():
    rules = reverb_replay.Rules(2, 1, 0.9, True)
    server = serve(rules)
    writer = reverb_replay.TransitionWriter(reverb.Client(server.local_address), 1, rules)
    plain_replay.play([writer], 100, 1, seed=3, episode_length=1e9)
    assert writer.flush(10)
    size, _ = server.transitions()
    drawn = keys(reverb_replay.ReplayReader(server, rules).sample(500 * size))
    counts = np.unique([hash(key) for key in drawn], return_counts=True)[1]
    assert len(counts) == size
    # Chi-square: mean size - 1, standard deviation sqrt(2 (size - 1)).
    chi_square = np.sum((counts - 500) ** 2) / 500
    assert abs(chi_square - (size - 1)) < 6 * np.sqrt(2 * (size - 1))
    server.stop()


def test_either_side_waits_for_the_other():
    """Two samples an insert, from 20 transitions on, give or take 50 samples."""
    rules = reverb_replay.Rules(1, 1, 0.9, True)
    server = serve(rules, min_transitions=20, samples_per_insert=2.0, error_buffer_samples=50)
    writer = reverb_replay.TransitionWriter(reverb.Client(server.local_address), 1, rules)
    append = functools.partial(
        plain_replay.play, [writer], num_streams=1, seed=0, episode_length=1e9
    )
    append(20)
    assert writer.flush(5)

    class Starved(Exception):
        pass

    def starved():
        raise Starved

    # One less than learning starts at: the first frame is none.
    reader = reverb_replay.ReplayReader(server, rules, starved)
    with pytest.raises(Starved):
        reader.sample(10)
    append(100)  # 50 samples are 25 inserts.
    assert not writer.wait(0.5)
    came = server.transitions()[1]
    assert 19 + 25 <= came <= 20 + 26
    reader = reverb_replay.ReplayReader(server, rules, starved)
    reader.sample(10)
    assert not writer.wait(0.5)
    assert server.transitions()[1] > came
    for _ in range(100):
        try:
            reader.sample(10)
        except Starved:
            break
    else:
        pytest.fail('The learner ran away.')
    assert writer.flush(5)
    server.stop()


def test_weights_and_rules_come_to_an_actor():
    rules = reverb_replay.Rules(4, 3, 0.9, False)
    there, here = tf.Variable([[1.0, 2.0]]), tf.Variable([[0.0, 0.0]])
    server = reverb_replay.ReplayServer(
        SHAPE,
        reverb_replay.broadcast([there], rules),
        rules,
        capacity_transitions=10,
        min_transitions=1,
        samples_per_insert=1.0,
        error_buffer_samples=10,
    )
    server.publish(5)
    link = reverb_link.Link(server.local_address, SHAPE, [here])
    np.testing.assert_array_equal(here, there)
    assert (link.rules.n_step, link.rules.clip_rewards) == (3, False)
    assert link.rules.discount == pytest.approx(0.9)
    assert (link.updates, link.is_done) == (5, False)
    there.assign([[3.0, 4.0]])
    server.publish(6, done=True)
    link.pull()
    np.testing.assert_array_equal(here, [[3.0, 4.0]])
    assert (link.updates, link.is_done) == (6, True)
    server.stop()


def test_another_layout_is_refused():
    server = serve(reverb_replay.Rules(4, 1, 0.9, True))
    with pytest.raises(ValueError, match=r'has frames of \(3, 2\) pixels, this actor has \(8, 8\)'):
        reverb_link.Link(server.local_address, (8, 8), [tf.Variable([1.0, 2.0])])
    with pytest.raises(ValueError, match=r'weights of \[\(2,\)\], this actor has \[\(3,\)\]'):
        reverb_link.Link(server.local_address, SHAPE, [tf.Variable([1.0, 2.0, 3.0])])
    server.stop()


def test_addresses():
    for address in ('localhost', 'localhost:', ':80', 'localhost:http'):
        with pytest.raises(ValueError, match="is no address; one is 'host:port'"):
            reverb_link.Link(address, SHAPE, [])
    with pytest.raises(ValueError, match='The host of no.such.host.invalid:80 is not known'):
        reverb_link.Link('no.such.host.invalid:80', SHAPE, [])
    started = time.monotonic()
    with pytest.raises(ConnectionError, match='No replay server answers at localhost:1;'):
        reverb_link.Link('localhost:1', SHAPE, [], connect_seconds=1)
    assert time.monotonic() - started < 10


def test_a_server_that_is_gone():
    server = serve(reverb_replay.Rules(4, 1, 0.9, True))
    link = reverb_link.Link(
        server.local_address, SHAPE, [tf.Variable([1.0, 2.0])], reconnect_seconds=3
    )
    server.stop()
    link.pull()  # It may come back.
    with pytest.raises(ConnectionError, match='has been gone for . s; this actor ends'):
        for _ in range(3):
            link.pull()


def test_a_port_that_is_in_use():
    rules = reverb_replay.Rules(4, 1, 0.9, True)
    server = serve(rules)
    with pytest.raises(OSError, match=f'Port {server.port} cannot be served from: Address al'):
        serve(rules, port=server.port)
    server.stop()
    assert reverb_replay._free_port(server.port) == server.port  # Now it is free.


def test_bad_arguments():
    rules = reverb_replay.Rules(4, 1, 0.9, True)
    with pytest.raises(ValueError, match='A replay server of 10 transitions cannot begin at 20'):
        serve(rules, capacity_transitions=10, min_transitions=20)
    with pytest.raises(ValueError, match='An error buffer of 4 samples is smaller than the 8'):
        serve(rules, samples_per_insert=8.0, error_buffer_samples=4)
