import numpy as np

from official.data.detection_table import USER
from research.match_rcnn import subsets
from tests.research.match_rcnn import hand_made


def test_columns_are_those_of_the_tables_in_order():
    assert subsets.COLUMNS == (
        'scale: small',
        'scale: moderate',
        'scale: large',
        'occlusion: slight',
        'occlusion: medium',
        'occlusion: heavy',
        'zoom-in: no',
        'zoom-in: medium',
        'zoom-in: large',
        'viewpoint: no wear',
        'viewpoint: frontal',
        'viewpoint: side or back',
        'overall',
    )


def test_each_code_is_in_its_column_and_unknown_ones_in_the_last_alone():
    box = (0, 0, 50, 50)
    table = hand_made.table(
        (
            1,
            USER,
            [
                hand_made.item(1, box, levels=(1, 2, 3, 1)),
                hand_made.item(1, box, levels=(3, 1, 0, 3)),
                hand_made.item(2, box),
            ],
        )
    )
    masks = subsets.of_items(table)
    assert tuple(masks) == subsets.COLUMNS
    of_items = [[name for name in masks if masks[name][item]] for item in range(3)]
    assert of_items == [
        ['scale: small', 'occlusion: medium', 'zoom-in: large', 'viewpoint: no wear', 'overall'],
        ['scale: large', 'occlusion: slight', 'viewpoint: side or back', 'overall'],
        ['overall'],
    ]
    assert all(mask.dtype == np.bool_ for mask in masks.values())
