"""The pictures of a report are the images of the generator for the z and labels they stand at."""

import base64
import functools
import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from official.data import digits, image_sources, labelling
from official.modeling import random
from research import s3gan
from research.s3gan import data as data_lib
from research.s3gan import model as model_lib
from research.s3gan import report

KEY = np.array([[3, 0]], np.int32)
SOURCE = functools.partial(image_sources.ArraySource, load=digits.load, image_size=32)
SMALL = report.GanReport(rows=3, columns=4, real_columns=2, interpolations=2, steps=3)


def clusters(labels, num_classes, seed, number=10):
    """As many as there are classes, but of the class before; every tenth image is in cluster 0."""
    del num_classes, seed
    hard = (labels.astype(np.int32) + 1) % number
    hard[::10] = 0
    return labelling.Labelling(np.arange(len(labels)), hard, number)


def make(**arguments):
    data = data_lib.GanData(0, source=SOURCE, batch_size=16, calibration_batches=1, **arguments)
    networks = {'image_size': 32, 'ch': 2, 'num_classes': data.num_labels, 'channels': 1}
    model = model_lib.S3GAN(
        generator=functools.partial(s3gan.Generator, **networks),
        discriminator=functools.partial(s3gan.Discriminator, **networks),
    )
    model.use_data(data)
    # With the statistics of the first weights all images would be nearly the same grey.
    model.calibrate(data.calibration())
    return model, data


@pytest.fixture(scope='module', name='of_classes')
def _of_classes():
    return make()


def cells(html):
    """The table of a section: row titles, and images float [h, w] or None where a cell is empty."""
    titles, rows = [], []
    for row in re.findall('<tr>(.*?)</tr>', html.split('<tbody>', 1)[1].split('</tbody>')[0]):
        titles.append(re.search('<th>(.*?)</th>', row).group(1))
        rows.append(
            [
                None
                if not cell
                else np.asarray(
                    Image.open(
                        io.BytesIO(base64.b64decode(re.search('base64,([^"]*)"', cell).group(1)))
                    )
                )
                / 255
                for cell in re.findall('<td>(.*?)</td>', row)
            ]
        )
    return titles, rows


def image(model, z, y):
    return model.generator(z[np.newaxis], tf.constant([y])).numpy()[0, ..., 0]


def test_every_sample_is_the_image_of_its_z_and_its_label(of_classes):
    model, data = of_classes
    assert SMALL.labels(data) == [0, 4, 9]
    images = SMALL.samples(model, data, KEY)
    z = model.draw(random.fold_in(random.fold_in(KEY, 0), 0), 12)[0].numpy().reshape(3, 4, -1)
    for row, label in enumerate([0, 4, 9]):
        for column in range(4):
            expected = image(model, z[row, column], label)
            np.testing.assert_allclose(images[row, column, ..., 0], expected, atol=1e-4)
    assert np.abs(images[0, 0] - images[0, 1]).max() > 0.01
    titles, shown = cells(SMALL(model=model, data=data, key=KEY)[0].html)
    assert titles == ['0', '4', '9']
    np.testing.assert_allclose(np.array(shown), images[..., 0], atol=0.501 / 255)


def test_a_path_in_z_begins_and_ends_at_samples_and_stays_as_long_as_they_are(of_classes):
    model, data = of_classes
    images = SMALL.paths_in_z(model, data, KEY)
    key = random.fold_in(KEY, 2)
    a, b = (model.draw(random.fold_in(key, end), 2)[0].numpy() for end in range(2))
    middle = (a + b) / 2**0.5
    for row, label in enumerate([0, 4]):
        for column, z in enumerate((a, middle, b)):
            np.testing.assert_allclose(
                images[row, column, ..., 0], image(model, z[row], label), atol=1e-4
            )


def test_a_path_between_labels_has_the_images_of_the_labels_at_its_ends(of_classes):
    model, data = of_classes
    images = SMALL.paths_between_labels(model, data, KEY)
    z = model.draw(random.fold_in(random.fold_in(KEY, 3), 0), 2)[0].numpy()
    for row, (first, last) in enumerate([(0, 4), (4, 9)]):
        ends = image(model, z[row], first), image(model, z[row], last)
        assert np.abs(ends[0] - ends[1]).max() > 0.01
        np.testing.assert_allclose(images[row, 0, ..., 0], ends[0], atol=1e-4)
        np.testing.assert_allclose(images[row, 2, ..., 0], ends[1], atol=1e-4)
        # In the middle the embedding is the mean of the two.
        embedded = model.generator.embed_y.kernel
        kept = embedded.numpy()
        embedded.assign(np.tile((kept[first] + kept[last]) / 2, (10, 1)))
        np.testing.assert_allclose(images[row, 1, ..., 0], image(model, z[row], 0), atol=1e-4)
        embedded.assign(kept)


def test_a_cluster_shows_its_own_real_images_its_own_samples_and_its_commonest_class():
    """Ten clusters of a set of ten classes are not the classes."""
    model, data = make(labelling=clusters)
    section = SMALL(model=model, data=data, key=KEY)[1]
    assert section.title == 'Real and generated (Figures 14 to 16)'
    titles, rows = cells(section.html)
    true, hard = data.source.labels('train'), data.labelling.labels
    z = model.draw(random.fold_in(random.fold_in(KEY, 1), 0), 6)[0].numpy().reshape(3, 2, -1)
    pixels = data.source._images['train']
    for title, row, label, own in zip(titles, rows, [0, 4, 9], z, strict=True):
        members = np.flatnonzero(hard == label)
        common = (label - 1) % 10
        share = 100 * np.mean(true[members] == common)
        assert title == f'{label}: {share:.0f}\xa0% {common}'
        assert row[2] is None and len(row) == 5
        for shown, member in zip(row[:2], members[:2], strict=True):
            np.testing.assert_allclose(shown * 255, pixels[member, ..., 0])
        for shown, point in zip(row[3:], own, strict=True):
            np.testing.assert_allclose(shown, image(model, point, label), atol=0.501 / 255 + 1e-4)


def test_labels_with_few_real_images_leave_cells_empty():
    hard = np.zeros(1297, np.int32)
    hard[7] = 1
    model, data = make(labelling=lambda *_: labelling.Labelling(np.arange(1297), hard, 3))
    titles, rows = cells(SMALL(model=model, data=data, key=KEY)[1].html)
    assert [[cell is None for cell in row[:2]] for row in rows] == [
        [False, False],
        [False, True],
        [True, True],
    ]
    assert titles[1] == f'1: 100\xa0% {data.source.labels("train")[7]}' and titles[2] == '2'


def test_a_single_label_fills_all_rows_with_images_of_its_own():
    model, data = make(labelling=labelling.single_label)
    sections = SMALL(model=model, data=data, key=KEY)
    titles, rows = cells(sections[1].html)
    assert titles == ['', '', '']
    pixels = data.source._images['train'][..., 0]
    np.testing.assert_allclose(
        np.array([row[:2] for row in rows]).reshape(6, 32, 32) * 255, pixels[:6]
    )
    assert sections[2].html.count('<h3>') == 1, 'there is no other label to go to'


@pytest.mark.parametrize(
    'made, names',
    [
        (labelling.true_labels, True),
        (functools.partial(labelling.partial_labels, percent=5), True),
        (labelling.random_labels, False),
        (clusters, False),
    ],
)
def test_rows_are_named_after_classes_only_where_labels_are_classes(made, names):
    data = data_lib.GanData(0, source=SOURCE, labelling=made)
    assert data.num_labels == 10
    assert report._Names(data).are_classes is names


def test_the_same_key_gives_the_same_page_and_another_one_another(of_classes):
    model, data = of_classes
    pages = [
        ''.join(section.html for section in SMALL(model=model, data=data, key=key))
        for key in (KEY, KEY, KEY + 1)
    ]
    assert pages[0] == pages[1] != pages[2]
    assert 'http' not in pages[0]


def test_bad_arguments():
    with pytest.raises(ValueError, match='GanReport.steps = 1 must be'):
        report.GanReport(steps=1)
    with pytest.raises(ValueError, match='GanReport.rows = 0 must be'):
        report.GanReport(rows=0)
