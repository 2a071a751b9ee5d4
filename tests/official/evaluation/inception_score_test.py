import numpy as np
import pytest

from official.evaluation import inception_score


@pytest.mark.parametrize('classes', [2, 10])
def test_certain_and_evenly_spread_predictions_score_the_number_of_classes(classes):
    one_hot = np.eye(classes)[np.arange(10 * classes) % classes]
    assert inception_score.inception_score(one_hot)[0] == pytest.approx(classes)
    assert inception_score.inception_score(one_hot, 10) == pytest.approx((classes, 0))


def test_predictions_that_are_all_alike_score_one():
    rows = np.tile([0.2, 0.3, 0.5], [7, 1])
    assert inception_score.inception_score(rows) == pytest.approx((1, 0))
    assert inception_score.inception_score(np.eye(3)[[1] * 5]) == pytest.approx((1, 0))


def test_a_score_by_hand():
    # p(y) = (1/2, 1/2); both rows have KL = .75 log 1.5 + .25 log .5.
    kl = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    rows = [[0.75, 0.25], [0.25, 0.75]]
    assert inception_score.inception_score(rows)[0] == pytest.approx(np.exp(kl))
    # Split in two, each part is alike within, and the fifth row is left out.
    rows = [[0.75, 0.25]] * 2 + [[0.25, 0.75]] * 2 + [[1, 0]]
    assert inception_score.inception_score(rows, 2) == pytest.approx((1, 0))


def test_mean_and_deviation_over_the_parts():
    rows = np.concatenate([np.eye(2), [[0.5, 0.5]] * 2])  # Scores 2 and 1.
    assert inception_score.inception_score(rows, 2) == pytest.approx((1.5, 0.5))


def test_bad_predictions():
    with pytest.raises(ValueError, match='3 predictions cannot be split into 4 parts'):
        inception_score.inception_score(np.full((3, 2), 0.5), 4)
    with pytest.raises(ValueError, match='do not sum to 1'):
        inception_score.inception_score(np.full((3, 2), 0.6))
