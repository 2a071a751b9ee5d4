"""Tests of research.match_rcnn.stats: small sets counted by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from official.core import figures
from research.match_rcnn import deepfashion2, stats
from tests.research.match_rcnn import tiny_deepfashion2 as tiny


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two splits; every image is 40 wide and 30 high, 1 200 pixels."""
    folder = tmp_path_factory.mktemp('deepfashion2')
    train = folder / 'train'
    small, moderate, large = [0, 0, 11, 10], [0, 0, 20, 24], [0, 0, 40, 20]
    tiny.write(
        train,
        1,
        [
            tiny.item(9, small, '11222222', style=1, scale=1, occlusion=2),
            tiny.item(9, small, style=2, scale=1),
            tiny.item(8, moderate, '00000222222222', scale=2, zoom_in=3),
        ],
        'user',
        pair_id=5,
    )
    tiny.write(train, 2, [tiny.item(9, small, style=1, scale=1)], 'user', pair_id=5)
    tiny.write(
        train,
        3,
        [
            tiny.item(9, large, style=1, scale=3, viewpoint=3),
            tiny.item(9, large, style=3, scale=2, viewpoint=1),
        ],
        'shop',
        pair_id=5,
    )
    tiny.write(
        train, 4, [tiny.item(9, moderate, style=1, occlusion=3, zoom_in=2)], 'shop', pair_id=5
    )
    # The same style of another pair_id, and an image without an item.
    tiny.write(train, 5, [tiny.item(1, moderate, style=1)], 'shop', pair_id=6)
    tiny.write(train, 6, [], 'shop', pair_id=6)
    validation = folder / 'validation'
    tiny.write(validation, 1, [tiny.item(9, moderate, style=1)], 'user', pair_id=5)
    tiny.write(validation, 2, [tiny.item(9, moderate, style=1)] * 2, 'shop', pair_id=5)
    return folder


def test_counts(folder):
    found = stats.count(deepfashion2.load(folder / 'train'))
    user, shop, unknown = (found['sources'][name] for name in ('user', 'shop', 'unknown'))
    assert (user['images'], user['items'], user['images_without_items']) == (2, 4, 0)
    assert (shop['images'], shop['items'], shop['images_without_items']) == (4, 4, 1)
    assert (unknown['images'], unknown['items']) == (0, 0)
    assert (found['fewest_items'], found['most_items']) == (0, 3)
    assert user['landmarks'] == 8 + 8 + 9 + 8 and shop['landmarks'] == 8 + 8 + 8 + 25
    assert user['categories']['skirt'] == 3 and user['categories']['trousers'] == 1
    assert shop['categories']['short sleeve top'] == 1
    assert sum(shop['categories'].values()) == 4 and len(shop['categories']) == 13
    assert user['levels']['scale'] == {'unknown': 0, 'small': 3, 'moderate': 1, 'large': 0}
    assert shop['levels']['viewpoint'] == {
        'unknown': 0,
        'no wear': 1,
        'frontal': 2,
        'side or back': 1,
    }
    assert user['levels']['zoom_in'] == {'unknown': 0, 'no': 3, 'medium': 0, 'large': 1}
    # (5, 1) on both sides, (5, 2) of users alone, (5, 3) and (6, 1) of shops alone.
    assert (found['pair_ids'], found['identities'], found['paired_identities']) == (2, 4, 1)
    assert found['paired_items'] == 4
    assert found['pairs'] == 2 * 2 and found['image_pairs'] == 2 * 2
    # Wrong are the scale of the large item that is called moderate, and occlusion and zoom-in of
    # the item of image 4.
    assert found['agreement'] == {
        'scale': {'codes': 8, 'agree': 7},
        'occlusion': {'codes': 8, 'agree': 7},
        'zoom_in': {'codes': 8, 'agree': 7},
    }


def test_splits_together(folder):
    counts = [stats.count(table) for table in stats.load(str(folder)).values()]
    found = stats.total(counts)
    assert counts[1]['pairs'] == 2 and counts[1]['image_pairs'] == 1
    # (5, 1) of one split is not that of the other.
    assert (found['paired_identities'], found['pairs'], found['image_pairs']) == (2, 6, 5)
    assert (found['fewest_items'], found['most_items']) == (0, 3)
    assert found['sources']['shop']['categories']['skirt'] == 5
    assert found['agreement']['scale'] == {'codes': 11, 'agree': 10}


def _row(printed, name):
    """The cells of the first line that begins with `name`."""
    (line,) = [line for line in printed.splitlines() if line.startswith(f'{name}  ')]
    return line[len(name) :].split('  ')


def _cells(printed, name):
    return [cell.strip() for cell in _row(printed, name) if cell.strip()]


def test_text_beside_the_paper(folder, capsys):
    stats.main([str(folder)])
    captured = capsys.readouterr()
    assert 'train: 1 x image without an item (kept): ' in captured.err
    train, validation, whole = captured.out.split('\n\n')
    assert _cells(train, 'train') == ['all', 'user', 'shop', 'paper']
    assert _cells(train, 'items') == ['8', '4', '4', '801K']
    assert _cells(train, 'images') == ['6', '2', '4', '491K (391K + 34K + 67K)']
    assert _cells(train, 'items in an image') == ['0 to 3', '1 to 7']
    assert _cells(train, 'items in an image, mean') == ['1.33', '2.00', '1.00']
    assert _cells(train, 'landmarks of an item') == ['10.25', '8.25', '12.25', '20']
    assert _cells(train, 'items of an identity') == ['4.00', '12.7']
    assert _cells(train, 'viewpoint: frontal') == ['75.0%', '100.0%', '50.0%', '78%']
    assert _cells(train, 'scale: codes that agree with the geometry') == ['87.5%']
    assert 'unknown' not in captured.out
    assert _cells(validation, 'validation')[0] == 'all'
    assert _cells(whole, 'pairs of items') == ['6', '873K']


def test_json_of_one_split(folder, capsys):
    stats.main([str(folder / 'validation'), '--json'])
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ['validation']
    assert found['validation']['sources']['shop']['items'] == 2


def test_a_malformed_annotation_is_left_out(tmp_path, capsys):
    tiny.write(tmp_path, 1, [tiny.item(9, [0, 0, 9, 9])])
    tiny.write(tmp_path, 2, [tiny.item(9, [0, 0, 9, 9], scale=7)])
    stats.main([str(tmp_path), '--json'])
    captured = capsys.readouterr()
    assert json.loads(captured.out)[tmp_path.name]['sources']['user']['images'] == 1
    assert '000002.json, item1: scale 7 is not a whole number of 1 to 3.' in captured.err


def test_all_that_is_malformed_is_named(tmp_path, capsys):
    for number in range(1, 8):
        tiny.write(tmp_path / 'train', number, [tiny.item(9, [0, 0, 9, 9], scale=6 + number)])
    tiny.write(tmp_path / 'train', 9, [tiny.item(9, [0, 0, 50, 9])])
    stats.main([str(tmp_path), '--json'])
    captured = capsys.readouterr()
    assert json.loads(captured.out)['train']['sources']['user']['images'] == 1
    lines = captured.err.splitlines()
    assert f'{tmp_path}/train: 7 x field that cannot be right (skipped)' in lines
    for number in range(1, 8):
        assert (
            f'  {tmp_path}/train/annos/{number:06d}.json, item1: scale {6 + number} is not a '
            'whole number of 1 to 3.'
        ) in lines
    # And in COCO's format.
    (tmp_path / 'coco.json').write_text(
        json.dumps(
            {
                'images': [{'id': 1, 'file_name': 'a.jpg', 'height': 30, 'width': 40}],
                'categories': [{'id': 3, 'name': 'car'}, {'id': 4, 'name': 'car'}],
                'annotations': [
                    {
                        'id': number,
                        'image_id': 1,
                        'category_id': 3,
                        'iscrowd': 0,
                        'bbox': [number, 0, 10, 10 * (number < 3)],
                        'area': 1 - 2 * (number > 1),
                    }
                    for number in range(1, 8)
                ],
            }
        ),
        'utf8',
    )
    stats.main([str(tmp_path / 'coco.json'), '--images', str(tmp_path), '--json'])
    captured = capsys.readouterr()
    categories = json.loads(captured.out)['coco.json']['sources']['unknown']['categories']
    assert categories == {'car (3)': 1, 'car (4)': 0}
    assert '1 x field that cannot be right (skipped): ' in captured.err
    assert len([line for line in captured.err.splitlines() if line.startswith('  ')]) == 5


def test_coco_format(tmp_path, capsys):
    content = {
        'images': [{'id': 1, 'file_name': 'a.jpg', 'height': 30, 'width': 40}],
        'categories': [{'id': 3, 'name': 'car'}, {'id': 1, 'name': 'person'}],
        'annotations': [
            {
                'id': 1,
                'image_id': 1,
                'category_id': 3,
                'bbox': [0, 0, 10, 10],
                'segmentation': [[0, 0, 10, 0, 0, 10]],
                'area': 50,
                'iscrowd': 0,
            }
        ],
    }
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(content), 'utf8')
    Image.new('RGB', (40, 30)).save(tmp_path / 'a.jpg')
    stats.main([str(path), '--images', str(tmp_path)])
    printed = capsys.readouterr().out
    assert _cells(printed, 'instances.json') == ['all']  # No such set is in the paper.
    assert _cells(printed, 'car') == ['1'] and _cells(printed, 'person') == ['0']
    assert _cells(printed, 'items') == ['1']
    assert 'scale' not in printed and 'agree' not in printed and '801K' not in printed
    with pytest.raises(SystemExit):
        stats.main([str(path)])
    assert 'needs --images' in capsys.readouterr().err


def test_figure_3(folder, tmp_path):
    counts = stats.count(deepfashion2.load(folder / 'train'))
    path = tmp_path / 'figure.png'
    stats.plot(counts, str(path))
    pixels = np.asarray(Image.open(path).convert('RGB')).astype(int)
    left = pixels[:, : pixels.shape[1] // 2]
    areas = []
    for color in figures.PALETTE[:3]:
        wanted = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
        areas.append((np.abs(left - wanted).max(-1) <= 2).sum())
    # Of four bars of 8: levels 1 are 3 small, 6 slight, 6 not zoomed and 1 not worn, and so on.
    levels = np.array([3 + 6 + 6 + 1, 4 + 1 + 1 + 6, 1 + 1 + 1 + 1]) / 32
    # What is written on the bars hides some of them.
    np.testing.assert_allclose(np.array(areas) / sum(areas), levels, atol=0.04)


@pytest.mark.parametrize('plot', ['figure.mp3', 'nowhere/figure.png'])
def test_a_figure_that_cannot_be_written_is_refused_before_anything_is_read(plot, capsys):
    with pytest.raises(SystemExit):
        stats.main(['no folder', f'--plot={plot}'])
    assert f'--plot={plot}' in capsys.readouterr().err


def test_nothing_to_count(tmp_path, capsys):
    with pytest.raises(SystemExit):
        stats.main([str(tmp_path / 'nowhere')])
    assert 'nowhere: no such file or folder of DeepFashion2' in capsys.readouterr().err
