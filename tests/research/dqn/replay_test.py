"""The replay memory against plain lists."""

import numpy as np
import pytest

from research.dqn import priorities, replay
from tests.research.dqn import plain_replay


def memories(slots_kept=40, num_streams=3, history=4, n_step=1, **arguments):
    plain = plain_replay.PlainReplay(num_streams, history, n_step, 0.9)
    memory = replay.FrameReplay(
        slots_kept * num_streams,
        (plain_replay.HEIGHT, plain_replay.WIDTH),
        history=history,
        num_streams=num_streams,
        n_step=n_step,
        discount=0.9,
        **arguments,
    )
    return memory, plain


def expected(memory, plain):
    """The transitions that are in the memory, by their `index`."""
    oldest = max(0, plain.slots - memory._ring.slots)
    return {
        slot * memory.num_streams + stream: transition
        for (slot, stream), transition in plain.transitions(oldest).items()
    }


def leaves(memory, index):
    """Where the transitions of an `index` are in the tree of priorities."""
    number, stream = np.divmod(index, memory.num_streams)
    return number % len(memory._ring.steps) * memory.num_streams + stream


def check(batch, transitions):
    for row, index in enumerate(batch.index):
        transition = transitions[index]
        np.testing.assert_array_equal(batch.observation[row], transition['observation'])
        assert batch.action[row] == transition['action']
        assert batch.reward[row] == pytest.approx(transition['reward'], abs=1e-6)
        assert batch.discount[row] == pytest.approx(transition['discount'], abs=1e-6)
        if transition['next_observation'] is not None:
            np.testing.assert_array_equal(
                batch.next_observation[row], transition['next_observation']
            )


@pytest.mark.parametrize('slots', [7, 39, 40, 41, 100, 433])
@pytest.mark.parametrize(
    'num_streams, history, n_step', [(1, 4, 1), (3, 4, 1), (2, 3, 3), (1, 5, 2), (2, 1, 1)]
)
def test_contents_equal_plain_lists_under_wrap_around(slots, num_streams, history, n_step):
    memory, plain = memories(num_streams=num_streams, history=history, n_step=n_step)
    plain_replay.play([memory, plain], slots, num_streams, seed=slots)
    transitions = expected(memory, plain)
    batch = memory.sample(20 * len(transitions) + 20, key=1)
    check(batch, transitions)
    assert set(batch.index) == set(transitions)  # Every one that there is comes up.


def test_the_newest_transition_can_be_sampled_at_once():
    memory, plain = memories(num_streams=1)
    plain_replay.play([memory, plain], 2, 1, seed=0, episode_length=1e9)
    batch = memory.sample(3, key=0)
    np.testing.assert_array_equal(batch.next_observation[0][..., -1], plain_replay.frame(1, 0))
    np.testing.assert_array_equal(batch.observation[0][..., -1], plain_replay.frame(0, 0))
    assert not batch.observation[0][..., :-1].any()


def test_sampling_is_uniform():
    memory, plain = memories(num_streams=2)
    plain_replay.play([memory, plain], 100, 2, seed=3)
    transitions = expected(memory, plain)
    count = 2000 * len(transitions)
    _, counts = np.unique(memory.sample(count, key=5).index, return_counts=True)
    assert len(counts) == len(transitions)
    # Chi-square: mean len - 1, standard deviation sqrt(2 (len - 1)).
    chi_square = np.sum((counts - 2000) ** 2) / 2000
    degrees = len(transitions) - 1
    assert abs(chi_square - degrees) < 5 * np.sqrt(2 * degrees)


def test_sampling_depends_on_seed_and_key_alone():
    one, plain = memories(seed=1)
    same, _ = memories(seed=1)
    other, _ = memories(seed=2)
    plain_replay.play([one, same, other, plain], 60, 3, seed=0)
    same.sample(32, key=0)
    for a, b in zip(one.sample(32, key=7), same.sample(32, key=7), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.any(one.sample(32, key=7).index != one.sample(32, key=8).index)
    assert np.any(one.sample(32, key=7).index != other.sample(32, key=7).index)


def test_without_replay_the_newest_transitions_come():
    memory, plain = memories(num_streams=2, newest_only=True)
    plain_replay.play([memory, plain], 90, 2, seed=0)
    transitions = plain.transitions(90 - 40)
    newest = sorted(transitions, key=lambda key: (-key[0], key[1]))[:8]
    batch = memory.sample(8, key=0)
    assert list(batch.index) == [slot * 2 + stream for slot, stream in newest]
    check(batch, expected(memory, plain))


@pytest.mark.parametrize('n_step', [1, 3])
def test_priorities_are_of_the_transitions_that_there_are(n_step):
    memory, plain = memories(
        num_streams=2, n_step=n_step, prioritization=priorities.Prioritization()
    )
    for slots in (6, 30, 40, 41, 133):
        memory, plain = memories(
            num_streams=2, n_step=n_step, prioritization=priorities.Prioritization()
        )
        plain_replay.play([memory, plain], slots, 2, seed=1)
        there = leaves(memory, np.array(list(expected(memory, plain))))
        assert set(np.flatnonzero(memory._tree.values)) == set(there)
        check(memory.sample(50, key=0), expected(memory, plain))


def test_prioritized_sampling_follows_schaul_et_al():
    """P(i) = p_i^alpha / sum p^alpha; w_i = (N P(i))^-beta / max w."""
    memory, plain = memories(
        num_streams=1,
        prioritization=priorities.Prioritization(
            exponent=0.6, importance_exponent=0.4, epsilon=0.0
        ),
    )
    plain_replay.play([memory, plain], 30, 1, seed=2, episode_length=1e9)
    index = np.array(sorted(expected(memory, plain)))
    error = np.linspace(-2, 3, len(index)) + 0.01
    memory.update_priorities(index, error)
    power = np.abs(error) ** 0.6
    probability = dict(zip(index, power / power.sum(), strict=True))
    batches = [memory.sample(29, key=key) for key in range(2000)]
    drawn, counts = np.unique(np.concatenate([b.index for b in batches]), return_counts=True)
    share = np.array([probability[i] for i in drawn])
    # Stratified draws vary less than independent ones.
    deviation = np.sqrt(share * (1 - share) / counts.sum())
    assert np.all(np.abs(counts / counts.sum() - share) < 5 * deviation)
    batch = batches[0]
    weight = (len(memory) * np.array([probability[i] for i in batch.index])) ** -0.4
    np.testing.assert_allclose(batch.weight, weight / weight.max(), rtol=1e-5)


def test_importance_weights_are_whole_at_the_end_of_annealing():
    preference = priorities.Prioritization(importance_exponent=0.4, annealing_updates=100)
    probability = np.array([0.1, 0.4])
    weight = preference.weights(probability, 10, 100)
    np.testing.assert_allclose(weight, [1.0, 0.25])
    weight = preference.weights(probability, 10, 50)  # beta = 0.7
    np.testing.assert_allclose(weight, [1.0, 4**-0.7], rtol=1e-6)


def test_a_new_transition_has_the_greatest_priority():
    memory, _ = memories(num_streams=1, prioritization=priorities.Prioritization(exponent=1.0))
    plain_replay.play([memory], 10, 1, seed=2, episode_length=1e9)
    memory.update_priorities(memory.sample(4, key=0).index, np.array([5.0, 1, 1, 1]))
    greatest = memory._tree.values.max()
    memory.append(np.zeros((1, 3, 2), np.uint8), [0], [0], [1], [False])
    assert memory._tree.values[9] == greatest == pytest.approx(5.0)


@pytest.mark.parametrize('appended', [1, 12, 37, 40, 41, 100])
def test_errors_reach_no_transition_that_was_not_drawn(appended):
    """Whatever was appended since: a slot that was overwritten has a transition of its own."""
    memory, _ = memories(num_streams=2, prioritization=priorities.Prioritization(exponent=1.0))
    plain_replay.play([memory], 90, 2, seed=2, episode_length=1e9)
    drawn = memory.sample(32, key=0).index
    frames = np.zeros((2, plain_replay.HEIGHT, plain_replay.WIDTH), np.uint8)
    for _ in range(appended):
        memory.append(frames, [0, 0], [0, 0], [1, 1], [False, False])
    before = memory._tree.values.copy()
    assert before.max() == 1.0
    memory.update_priorities(drawn, np.full(32, 7.0))
    changed = np.flatnonzero(memory._tree.values != before)
    # 40 slots are kept, the oldest three of which complete stacks.
    there = drawn[drawn // 2 >= 90 + appended - 40 + 3]
    assert set(changed) == set(leaves(memory, there))
    assert (len(there) == 0) == (appended >= 37)
    np.testing.assert_allclose(memory._tree.values[changed], 7.0, rtol=1e-5)
    assert memory._tree.total == pytest.approx(memory._tree.values.sum())


def test_a_million_frames_take_seven_gigabytes():
    """7.06 GB is the floor; the slack of 50 000 frames and what belongs to a frame are in."""
    from research.dqn import storage

    frame_bytes = 84 * 84
    step_bytes = storage.STEP.itemsize + 4  # And a checksum.
    assert 1_000_000 * frame_bytes == 7_056_000_000
    total = 1_050_000 * (frame_bytes + step_bytes)
    assert total <= 7.5e9
    memory = replay.FrameReplay(10_000, num_streams=1, slack_frames=500)
    assert memory.nbytes * 100 == total


@pytest.mark.parametrize('frames', [np.zeros((3, 3, 2)), np.zeros((1, 3, 2), np.uint8)])
def test_frames_of_another_kind_are_refused(frames):
    memory, _ = memories()
    with pytest.raises(ValueError, match=r'are not uint8 \[3, 3, 2\]'):
        memory.append(frames, [0] * 3, [0] * 3, [1] * 3, [False] * 3)
    assert not len(memory)


def test_an_error_that_is_no_number_does_not_reach_the_priorities():
    memory, _ = memories(prioritization=priorities.Prioritization())
    plain_replay.play([memory], 10, 3, seed=2)
    with pytest.raises(ValueError, match='must be finite'):
        memory.update_priorities(memory.sample(2, key=0).index, np.array([1.0, np.nan]))
    assert np.isfinite(memory.sample(8, key=1).weight).all()


def test_bad_arguments():
    with pytest.raises(ValueError, match='no transition yet'):
        memories()[0].sample(1, key=0)
    with pytest.raises(ValueError, match='capacity_frames = 4 is too small'):
        replay.FrameReplay(4)
    for name, value, wrong in (
        ('n_step', 0, 'must be a whole number of at least 1'),
        ('capacity_frames', 2e4, 'must be a whole number'),
        ('discount', 7, r'is outside \[0, 1\]'),
        ('frame_shape', (0, 84), 'must be a height and a width'),
        ('prioritization', True, 'must be a Prioritization or None'),
        ('directory', 'nowhere', 'slack_frames = 0 leaves no room to append'),
    ):
        with pytest.raises(ValueError, match=wrong):
            replay.FrameReplay(**{'capacity_frames': 100, name: value})
    with pytest.raises(ValueError, match=r'takes 707300.00 GB and .* GB of memory are free'):
        replay.FrameReplay(10**11)
