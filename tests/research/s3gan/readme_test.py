"""The card's example runs, and what it names is there."""

import pathlib
import re

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[3]
CARD = ROOT / 'research' / 's3gan' / 'README.md'


def test_without_the_launcher():
    (example,) = re.findall(r'```python\n(.*?)```', CARD.read_text(), re.DOTALL)
    names = {}
    exec(compile(example, str(CARD), 'exec'), names)
    samples = names['samples'].numpy()
    assert samples.shape == (10, 32, 32, 1) and samples.min() >= 0 and samples.max() <= 1
    assert np.std(samples, axis=0).max() > 0
    assert int(names['model'].global_step.numpy()) == 2


def test_files_are_there():
    text = CARD.read_text()
    table = re.findall(r'^\| (`[^|]*`) \|', text, re.MULTILINE)
    files = re.findall(r'`(\w+[.]py)`', ' '.join(table))
    assert files and all((CARD.parent / name).exists() for name in files)
    for path in re.findall(r'gin_configs/s3gan/[\w/]+[.]gin', text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r'\]\((?!http)([^)#]+)\)', text):
        assert (CARD.parent / path).exists(), path
