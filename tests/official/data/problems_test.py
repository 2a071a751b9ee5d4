"""Tests of official.data.problems."""

import io
import json
import sys
import threading

import pytest

from official.data import problems


def test_counts_and_first_files():
    found = problems.Problems('set', kept=2)
    assert found.counts == {} and found.files('a') == []
    for file in ('1.jpg', '1.jpg', '2.jpg', '3.jpg'):
        found.add('a', file)
    found.add('b', count=5)
    found.add('c', 'x', count=0)
    assert found.counts == {'a': 4, 'b': 5}
    assert found.files('a') == ['1.jpg', '2.jpg'] and found.files('b') == []


def test_one_line_a_kind(capsys):
    found = problems.Problems('train', kept=2)
    found.print_summary()
    assert capsys.readouterr() == ('', '')
    found.add('bad box', 'a.json')
    found.add('no image', 'b.json')
    found.add('no image', 'c.json')
    found.add('no image', 'd.json')
    found.add('other', count=2)
    found.print_summary()
    lines = [
        'train: 1 x bad box: a.json',
        'train: 3 x no image: b.json, c.json, ...',
        'train: 2 x other',
    ]
    assert capsys.readouterr() == ('', '\n'.join(lines) + '\n')
    text = io.StringIO()
    found.print_summary(text)
    assert text.getvalue().splitlines() == lines
    nameless = problems.Problems()
    nameless.add('k', 'f')
    nameless.print_summary()
    assert capsys.readouterr().err == '1 x k: f\n'


def test_a_line_a_file_where_more_are_kept(capsys):
    found = problems.Problems('set', kept=4)
    for number in range(5):
        found.add('bad', f'{number}.json')
    found.print_summary()
    assert capsys.readouterr().err.splitlines() == [
        'set: 5 x bad',
        *(f'  {number}.json' for number in range(4)),
        '  ...',
    ]


def test_what_is_malformed_is_named_together_or_counted():
    def fault(kind, place):
        return problems.Malformed((kind, f'{place} is bad.'))

    def refuse(*errors):
        faults = problems.Faults(problems.Problems('set'))
        for error in errors:
            faults.add(error)
        with pytest.raises(ValueError) as raised:
            faults.check()
        return str(raised.value).splitlines()

    problems.Faults(problems.Problems('set')).check()
    assert refuse(fault('box', 'a')) == ['a is bad.']
    both = problems.Malformed.of([fault('box (skipped)', 'a'), fault('mask', 'b')])
    assert str(both) == 'a is bad.\nb is bad.'
    assert refuse(both, *(fault('mask', number) for number in range(20))) == [
        'set: 22 values cannot be right:',
        '1 x box:',
        '  a is bad.',
        '21 x mask:',
        '  b is bad.',
        *(f'  {number} is bad.' for number in range(19)),
        '  ...',
    ]
    optional = problems.Faults(problems.Problems('set'), skip=False)
    optional.add(both)
    with pytest.raises(
        ValueError, match='set: 2 values .*; skip_malformed = True leaves them out:'
    ):
        optional.check()
    mine = problems.Problems('set')
    faults = problems.Faults(mine, skip=True)

    def work(value):
        if value < 0:
            raise fault('box', value)
        return value

    assert [faults.call(work, value) for value in (1, -1, 2)] == [1, None, 2]
    faults.check()
    assert mine.as_dict() == {'box': {'count': 1, 'files': ['-1 is bad.']}}


def test_what_goes_into_json():
    found = problems.Problems('set')
    found.add('a', 'x.jpg')
    found.add('a', 'y.jpg', 3)
    assert json.loads(json.dumps(found.as_dict())) == {
        'a': {'count': 4, 'files': ['x.jpg', 'y.jpg']}
    }
    found.as_dict()['a']['files'].append('not kept')
    found.counts['a'] = 0
    assert found.counts == {'a': 4} and found.files('a') == ['x.jpg', 'y.jpg']


def test_many_threads():
    found, interval = problems.Problems(kept=5), sys.getswitchinterval()

    def work(number):
        for k in range(500):
            found.add('a', f'{number}-{k}')

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=[n]) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert found.counts == {'a': 4000} and len(set(found.files('a'))) == 5
