import pytest
import tensorflow as tf

from official.core import averaging


def test_average_and_swap():
    variable = tf.Variable([2.0, 4.0])
    average = averaging.WeightAverage([variable], decay=0.75)
    variable.assign([6.0, 0.0])
    average.update([variable])
    # 0.75 * (2, 4) + 0.25 * (6, 0).
    assert average.averages[0].numpy().tolist() == [3.0, 3.0]
    with pytest.raises(KeyError), average.swapped_in([variable]):
        assert variable.numpy().tolist() == [3.0, 3.0]
        raise KeyError
    assert variable.numpy().tolist() == [6.0, 0.0]


def test_before_its_start_the_average_follows():
    variable = tf.Variable([2.0])
    average = averaging.WeightAverage([variable], decay=0.75, start_step=2)
    followed = []
    for step, value in enumerate([10.0, 20.0, 40.0, 80.0]):
        variable.assign([value])
        average.update([variable], tf.constant(step, tf.int64))
        followed.append(average.averages[0].numpy().item())
    # From step 2 on: 0.75 * 20 + 0.25 * 40 = 25, then 0.75 * 25 + 0.25 * 80.
    assert followed == [10.0, 20.0, 25.0, 38.75]


def test_decay_outside_its_range():
    with pytest.raises(ValueError, match='decay = 1.0 is outside'):
        averaging.WeightAverage([], decay=1.0)
