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
    lines = ['train: 1 x bad box: a.json', 'train: 3 x no image: b.json, c.json, ...',
             'train: 2 x other']
    assert capsys.readouterr() == ('', '\n'.join(lines) + '\n')
    text = io.StringIO()
    found.print_summary(text)
    assert text.getvalue().splitlines() == lines
    nameless = problems.Problems()
    nameless.add('k', 'f')
    nameless.print_summary()
    assert capsys.readouterr().err == '1 x k: f\n'


def test_what_goes_into_json():
    found = problems.Problems('set')
    found.add('a', 'x.jpg')
    found.add('a', 'y.jpg', 3)
    assert json.loads(json.dumps(found.as_dict())) == {
        'a': {'count': 4, 'files': ['x.jpg', 'y.jpg']}}
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


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
