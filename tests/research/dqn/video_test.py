import base64
import re

import numpy as np
import pytest
from PIL import Image, ImageSequence

from research.dqn import games, video


def read(path):
    """Frames, uint8 [T, H, W, 3], and how long each is shown, in milliseconds."""
    with Image.open(path) as film:
        pairs = [
            (np.asarray(image.convert('RGB')), image.info['duration'])
            for image in ImageSequence.Iterator(film)
        ]
        assert film.info['loop'] == 0
    frames, durations = zip(*pairs, strict=True)
    return np.stack(frames), list(durations)


def pictures(number, colors=128, seed=0):
    """Frames in which a block of random colours jumps about before a background of others."""
    random = np.random.default_rng(seed)
    palette = random.permutation(256**3)[:colors]
    palette = np.stack([palette >> 16, palette >> 8 & 255, palette & 255], -1).astype(np.uint8)
    frames = np.repeat(palette[random.integers(colors, size=(1, 20, 30))], number, axis=0)
    for frame in frames:
        top, left = random.integers(15), random.integers(25)
        frame[top : top + 5, left : left + 5] = palette[random.integers(colors, size=(5, 5))]
    return frames


def atari(game, number):
    import ale_py

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    emulator = ale_py.ALEInterface()
    emulator.setInt('random_seed', 1)
    emulator.loadROM(games.check_game(game))
    actions, random = emulator.getMinimalActionSet(), np.random.default_rng(0)
    frames = []
    for _ in range(number):
        action = actions[random.integers(len(actions))]
        for _ in range(4):
            emulator.act(action)
        frames.append(emulator.getScreenRGB())
        if emulator.game_over():
            emulator.reset_game()
    return np.stack(frames)


@pytest.mark.parametrize('colors', (2, 128, 256))
def test_every_pixel_keeps_its_colour(tmp_path, colors):
    frames = pictures(30, colors)
    path = str(tmp_path / 'a.gif')
    video.write_gif(frames, path, 10)
    read_frames, durations = read(path)
    np.testing.assert_array_equal(read_frames, frames)
    assert durations == [100] * 30
    assert [file.name for file in tmp_path.iterdir()] == ['a.gif']


def test_a_speed_that_hundredths_of_a_second_do_not_divide_stays_in_time(tmp_path):
    path = str(tmp_path / 'a.gif')
    video.write_gif(pictures(30), path, 15)
    _, durations = read(path)
    assert set(durations) == {60, 70} and sum(durations) == 2000
    np.testing.assert_allclose(np.cumsum(durations), np.arange(1, 31) / 15 * 1000, atol=5)


def test_a_frame_that_repeats_the_one_before_prolongs_it(tmp_path):
    frames = pictures(4)[[0, 0, 0, 1, 2, 2, 3, 3]]
    path = str(tmp_path / 'a.gif')
    video.write_gif(frames, path, 10)
    read_frames, durations = read(path)
    np.testing.assert_array_equal(
        np.repeat(read_frames, np.array(durations) // 100, axis=0), frames
    )


def test_more_colours_than_a_gif_has_become_near_ones(tmp_path):
    random = np.random.default_rng(0)
    # 16 clouds of colours.
    centers = np.stack(np.meshgrid([40, 200], [40, 200], [40, 90, 150, 210]), -1).reshape(-1, 3)
    frames = centers[random.integers(16, size=(3, 40, 40))] + random.integers(
        -9, 10, size=(3, 40, 40, 3)
    )
    frames = frames.astype(np.uint8)
    path = str(tmp_path / 'a.gif')
    video.write_gif(frames, path, 10)
    read_frames, _ = read(path)
    assert len(np.unique(read_frames.reshape(-1, 3), axis=0)) <= 256
    assert np.abs(read_frames.astype(int) - frames).max() < 25


def test_frames_of_the_atari_are_exact_and_small(tmp_path):
    frames = atari('seaquest', 200)
    path = tmp_path / 'a.gif'
    video.write_gif(frames, str(path), 15)
    read_frames, durations = read(path)
    changes = np.flatnonzero(
        np.concatenate([[True], (frames[1:] != frames[:-1]).any(axis=(1, 2, 3))])
    )
    np.testing.assert_array_equal(read_frames, frames[changes])
    assert sum(durations) == pytest.approx(200 / 15 * 1000, abs=10)
    # 900 such frames are to stay below 2 MB.
    assert path.stat().st_size < 2e6 * 200 / 900


def test_one_frame(tmp_path):
    frames = pictures(1)
    path = str(tmp_path / 'a.gif')
    video.write_gif(frames, path, 50)
    read_frames, _ = read(path)
    np.testing.assert_array_equal(read_frames, frames)


def test_what_cannot_be_written_leaves_the_old_film(tmp_path, monkeypatch):
    path = tmp_path / 'a.gif'
    video.write_gif(pictures(2), str(path), 10)
    before = path.read_bytes()

    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(video.os, 'replace', fail)
    with pytest.raises(OSError, match='disk full'):
        video.write_gif(pictures(3), str(path), 10)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ['a.gif']


def test_remote_paths_go_through_tensorflow(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(video.os, 'replace', None)
    video.write_gif(pictures(2), 'ram://a.gif', 10)
    with tf.io.gfile.GFile('ram://a.gif', 'rb') as file:
        assert file.read().startswith(b'GIF89a')
    assert not tf.io.gfile.exists('ram://a.gif.partial')


@pytest.mark.parametrize(
    'frames, what',
    [
        (np.zeros((0, 4, 4, 3), np.uint8), r'uint8 \[0, 4, 4, 3\]'),
        (np.zeros((2, 4, 4), np.uint8), r'uint8 \[2, 4, 4\]'),
        (np.zeros((2, 4, 4, 4), np.uint8), r'uint8 \[2, 4, 4, 4\]'),
        (np.zeros((2, 4, 4, 3), np.float32), r'float32 \[2, 4, 4, 3\]'),
        ([], r'float64 \[0\]'),
    ],
)
def test_what_is_no_film(tmp_path, frames, what):
    path = str(tmp_path / 'a.gif')
    with pytest.raises(ValueError, match=f'^{path}: .* not {what}[.]$'):
        video.write_gif(frames, path, 10)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('speed', (0, -1, 60, float('nan')))
def test_speeds_no_browser_plays(tmp_path, speed):
    with pytest.raises(ValueError, match=f'not {speed}'):
        video.write_gif(pictures(2), str(tmp_path / 'a.gif'), speed)


@pytest.mark.parametrize('frame_skip, speed', [(6, 10), (4, 15), (2, 30), (1, 50)])
def test_the_speed_of_a_game_is_one_a_browser_plays(tmp_path, frame_skip, speed):
    assert video.speed(frame_skip) == speed
    video.write_gif(pictures(3), str(tmp_path / 'a.gif'), video.speed(frame_skip))


def test_html_holds_the_film(tmp_path):
    path = tmp_path / 'a.gif'
    video.write_gif(pictures(3), str(path), 10)
    text = video.html(str(path), 'Pong, "a" <game>', '21 & 0')
    (data,) = re.findall(r'src="data:image/gif;base64,([^"]+)"', text)
    assert base64.b64decode(data) == path.read_bytes()
    assert 'alt="Pong, &quot;a&quot; &lt;game&gt;"' in text
    assert '<figcaption>21 &amp; 0</figcaption>' in text
    with pytest.raises(FileNotFoundError, match='no film .*b.gif'):
        video.html(str(tmp_path / 'b.gif'), 'b')
