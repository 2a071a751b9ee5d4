import sys

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
    with pytest.raises(KeyError):
        with average.swapped_in([variable]):
            assert variable.numpy().tolist() == [3.0, 3.0]
            raise KeyError
    assert variable.numpy().tolist() == [6.0, 0.0]


def test_decay_outside_its_range():
    with pytest.raises(ValueError, match='decay = 1.0 is outside'):
        averaging.WeightAverage([], decay=1.0)


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
