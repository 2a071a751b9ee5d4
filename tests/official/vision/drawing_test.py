"""What is drawn where."""

import numpy as np

from official.vision import drawing

GREY = np.full([400, 400, 3], 128, np.uint8)
RED = (255, 0, 0)


def _changed(pixels, image=GREY):
    return np.any(pixels != image, axis=-1)


def test_a_box_lies_on_its_edges():
    canvas = drawing.Canvas(GREY)
    canvas.box((100, 50, 300, 200), RED)
    changed = _changed(canvas.pixels)
    rows, columns = np.where(changed)
    assert abs(rows.min() - 50) <= 2 and abs(rows.max() - 200) <= 2
    assert abs(columns.min() - 100) <= 2 and abs(columns.max() - 300) <= 2
    assert not changed[60:190, 110:290].any()
    np.testing.assert_array_equal(GREY, 128)  # The image itself is as it was.


def test_a_mask_is_tinted_and_nothing_else():
    mask = np.zeros([400, 400], bool)
    mask[100:200, 50:150] = True
    canvas = drawing.Canvas(GREY)
    canvas.mask(mask, RED)
    np.testing.assert_array_equal(_changed(canvas.pixels)[mask], True)
    # An outline of a pixel or two may lie outside.
    assert _changed(canvas.pixels)[~mask].mean() < 0.01
    np.testing.assert_array_equal(canvas.pixels[150, 100], [178, 76, 76])


def test_landmarks_that_are_there_and_their_edges():
    landmarks = np.array([[100, 100, 2], [300, 100, 2], [200, 300, 0]])
    canvas = drawing.Canvas(GREY)
    canvas.landmarks(landmarks, RED, [(0, 1), (1, 2)])
    changed = _changed(canvas.pixels)
    assert changed[100, 100] and changed[100, 300] and changed[100, 200]
    assert not changed[110:].any()  # Neither the third nor the edge to it.


def test_a_small_image_is_enlarged_and_so_is_what_is_drawn():
    image = np.arange(40 * 20 * 3, dtype=np.uint8).reshape(40, 20, 3)
    canvas = drawing.Canvas(image)
    assert canvas.scale == 8
    np.testing.assert_array_equal(canvas.pixels[::8, ::8], image)
    canvas.box((5, 10, 15, 30), RED)
    rows, columns = np.where(_changed(canvas.pixels, image.repeat(8, 0).repeat(8, 1)))
    assert abs(rows.min() - 80) <= 2 and abs(columns.max() - 120) <= 2


def test_objects_have_names_scores_masks_and_landmarks():
    boxes = np.array([[50, 50, 150, 250], [200, 60, 380, 390]], np.float32)
    plain = drawing.objects(GREY, boxes, [1, 2], ['vest', 'skirt'])
    with_scores = drawing.objects(GREY, boxes, [1, 2], ['vest', 'skirt'], [0.9, 0.8])
    assert np.any(plain != with_scores)
    landmarks = np.array([[[100, 150, 2]], [[300, 200, 1]]], np.float32)
    drawn = drawing.objects(GREY, boxes, [1, 2], ['vest', 'skirt'], landmarks=landmarks)
    assert _changed(drawn)[150, 100] and _changed(drawn)[200, 300]
    assert not _changed(
        drawing.objects(
            GREY, boxes, [1, 2], ['vest', 'skirt'], landmarks=landmarks, least_landmark=1.5
        )
    )[200, 300]


def test_text_stays_inside_the_image():
    canvas = drawing.Canvas(GREY)
    canvas.text('a name', 395, 398, RED)
    changed = _changed(canvas.pixels)
    assert changed[370:, 320:].any() and changed.sum() > 500


def test_fitted_keeps_the_aspect():
    image = np.zeros([100, 50, 3], np.uint8)
    fitted = drawing.fitted(image, 60, 60)
    assert fitted.shape == (60, 60, 3)
    assert not fitted[:, 15:45].any() and (fitted[:, :14] == 255).all()
