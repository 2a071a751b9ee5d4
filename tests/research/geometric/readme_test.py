"""The examples in the model card run."""

import os
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
CARD = ROOT / 'research' / 'geometric' / 'README.md'
MUTAG = ROOT.parent / 'shared' / 'data' / 'tu' / 'powerful_gnns_format' / 'MUTAG.zip'


def blocks():
    return re.findall(r'```python\n(.*?)```', CARD.read_text(), re.DOTALL)


def run(code, names):
    exec(compile(code, str(CARD), 'exec'), names)
    return names


def test_an_operator():
    assert run(blocks()[0], {})['h'].shape == (4, 16)


def test_a_network_on_the_karate_club(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run(blocks()[1], {})
    assert int(names['model'].global_step) == 100
    accuracy = float(re.search(r"'accuracy': ([\d.]+)}", capsys.readouterr().out).group(1))
    assert accuracy > .6  # Four classes, the largest of which has 40 % of the nodes.


@pytest.mark.skipif(not os.path.exists(MUTAG), reason='MUTAG.zip is not here')
def test_a_network_on_graphs(capsys):
    names = run(blocks()[1].split('data =')[0], {})
    run(blocks()[2].replace("'MUTAG.zip'", repr(str(MUTAG))), names)
    labels = names['graphs'].labels[names['members'][150:]]
    assert names['logits'].shape == (38, 2)
    assert (names['logits'].argmax(1) == labels).mean() > .6


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
