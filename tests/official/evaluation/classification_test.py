import numpy as np

from official.evaluation import classification


def test_counts_and_error_over_two_batches_with_padding():
    metric = classification.ConfusionMatrix(3)
    metric.update_state([0, 1, 2, 2], [0, 2, 2, 0])
    metric.update_state([1, 1, 0], [1, 0, 2], sample_weight=[1.0, 1.0, 0.0])
    np.testing.assert_array_equal(metric.result(), [[1, 0, 0], [1, 1, 1], [1, 0, 1]])
    assert float(classification.error_percent(metric.result())) == 50.0  # 3 of 6.
    metric.reset_state()
    assert np.sum(metric.result()) == 0
    assert float(classification.error_percent(metric.result())) == 0.0


def test_a_percent_of_ten_thousand_is_not_rounded():
    matrix = np.diag([5000.0, 4887.0])
    matrix[0, 1] = 113
    assert float(classification.error_percent(matrix)) == 1.13
