import numpy as np
import pytest

from official.core import checks

_NAN, _INFINITY = float('nan'), float('inf')


@pytest.mark.parametrize(
    'check, good, bad',
    [
        (checks.positive, [1, np.int64(3)], [0, -1, 1.0, True, '1', None, _NAN]),
        (lambda owner, **values: checks.at_least(owner, 0, **values), [0, 2], [-1, 0.5, False]),
        (
            lambda owner, **values: checks.within(owner, 0, 1, **values),
            [0, 1.0, np.float32(0.5)],
            [-0.1, 1.1, True, '1', None, _NAN, _INFINITY],
        ),
        (
            lambda owner, **values: checks.within(owner, 0, _INFINITY, **values),
            [0, 1e300],
            [_INFINITY, _NAN, -1],
        ),
        (
            checks.above_zero,
            [1e-30, 2, np.float32(0.5)],
            [0, -1.0, _NAN, _INFINITY, True, None, '1'],
        ),
        (checks.share, [0, 0.999], [1, -0.1, _NAN, True, None]),
        (checks.switch, [True, False], ['False', 0, 1, None]),
        (checks.called, [int, len], [5, 'len', None, ()]),
        (
            lambda owner, **values: checks.called(owner, optional=True, **values),
            [None, int],
            ['len'],
        ),
        (checks.mapping, [None, {}], ['Table 1', ()]),
    ],
)
def test_what_passes_and_what_is_named(check, good, bad):
    for value in good:
        check('Owner', x=value)
    for value in bad:
        with pytest.raises(ValueError) as caught:
            check('Owner', y=good[0], x=value)
        assert str(caught.value).startswith(f'Owner.x = {value!r} ')


def test_a_range_without_an_end_is_written_as_one():
    with pytest.raises(ValueError, match=r'^Owner.x = -1 is outside \[0, inf\)\.$'):
        checks.within('Owner', 0, _INFINITY, x=-1)


def test_a_data_folder_that_nobody_reads():
    checks.no_data_dir('x', None)
    with pytest.raises(ValueError, match='^--data_dir=d would be ignored: x reads no folder.$'):
        checks.no_data_dir('x', 'd')
