"""What the model card says and code can check."""

import inspect
import pathlib
import re

import numpy as np
import tensorflow as tf

import research.match_rcnn
from research.match_rcnn import sources
from tests.research.match_rcnn import paper_tables, tiny

CARD = pathlib.Path(research.match_rcnn.__file__).with_name('README.md')


def test_the_example_runs(monkeypatch):
    """As it stands, with a small network and few garments in place of its own."""
    code = re.search(r'## Without the launcher.*?```python\n(.*?)```', CARD.read_text(), re.S)[1]
    garments = tiny.source()
    monkeypatch.setattr(sources, 'GarmentSource', lambda data_dir: garments)
    monkeypatch.setitem(vars(research.match_rcnn), 'MatchRCNN', lambda backbone: tiny.make_model())
    names = {}
    exec(compile(code, str(CARD), 'exec'), names)
    assert set(names['found']) == {'boxes', 'classes', 'scores', 'masks', 'landmarks', 'embeddings'}
    assert np.isfinite(names['model'].history.history['loss'][0])
    # What the card calls `same` is the probability of a match, by the formula of Sec. 3: softmax of
    # a dense layer of the squared difference, second output.
    kernel, bias = (
        weight.numpy().astype(np.float64)
        for weight in names['model'].matching_network.similarity.weights
    )
    first, second = names['found']['embeddings'][0, :2].numpy().astype(np.float64)
    no, yes = np.exp(np.square(first - second) @ kernel + bias)
    assert np.abs(first - second).max() > 0
    np.testing.assert_allclose(names['same'], yes / (no + yes), rtol=1e-4)


def test_files_that_are_named_exist():
    folder = CARD.parent
    for name in re.findall(r'`([a-z_0-9]+\.py)`', CARD.read_text()):
        assert (folder / name).exists(), name
    configs = folder.parents[1] / 'gin_configs' / 'match_rcnn'
    for name in re.findall(r'gin_configs/match_rcnn/([a-z_0-9]+\.gin)', CARD.read_text()):
        assert (configs / name).exists(), name
    # And every file is named.
    for path in folder.glob('[!_]*.py'):
        assert f'`{path.name}`' in CARD.read_text(), path.name


def test_cells_of_the_paper_are_counted_right():
    counts = {}
    for number in '2345':
        counts[number] = sum(
            map(len, paper_tables.rows(getattr(paper_tables, f'TABLE_{number}')).values())
        )
    told = re.findall(r'^\| Table ([2-5]), [a-z]+ \| (\d+)', CARD.read_text(), re.M)
    assert {number: int(cells) for number, cells in told} == counts
    assert f'None of the {sum(counts.values())} cells was measured' in CARD.read_text()


def test_the_example_does_not_draw_into_the_folder_of_the_gin_files():
    """Which have another size of image, and would be refused there."""
    default = inspect.signature(sources.GarmentSource).parameters['folder'].default
    folders = re.findall(
        r"GarmentSource.folder = '(.*)'",
        (CARD.parents[2] / 'gin_configs/match_rcnn/_garments.gin').read_text(),
    )
    assert len(folders) == 1 and folders[0] != default


def test_parameters_are_those_of_the_network():
    """The numbers of the card's table; model_test.py has them from shapes and from the network."""
    rows = dict(re.findall(r'^\| ([^|]+?) \| ([\d ]+) \|$', CARD.read_text(), re.M))
    numbers = {name: int(value.replace(' ', '')) for name, value in rows.items()}
    # Frozen norms are a scale and a shift, without moving averages, and leave no need of a bias.
    keras = tf.keras.applications.ResNet50(weights=None, include_top=False)
    assert numbers['ResNet-50, frozen batch norms as scale and shift'] == sum(
        int(np.prod(weight.shape))
        for weight in keras.weights
        if 'bias' not in weight.name and 'moving' not in weight.name
    )
    fpn = sum(depth * 256 + 256 for depth in (256, 512, 1024, 2048)) + 4 * (9 * 256**2 + 256)
    assert numbers['FPN, 256 channels'] == fpn
    assert numbers['RPN, 3 anchors a place'] == 9 * 256**2 + 256 + 257 * 15
    assert [numbers[name] for name in numbers if 'stream' in name or 'matching' in name] == [
        13_963_330,
        24_302_374,
        2_626_061,
        5_574_146,
    ]
