"""Tests of official.data.image_folder."""

import os
import re

import numpy as np
import pytest

from official.data import image_folder


def fill(folder, *paths):
    for path in paths:
        os.makedirs(os.path.dirname(folder / path), exist_ok=True)
        (folder / path).write_bytes(b'')  # No image is opened.


def test_classes_and_files_in_the_order_of_their_names(tmp_path):
    fill(
        tmp_path,
        'b/2.png',
        'b/10.jpeg',
        'a/x.JPEG',
        'c c/[1]*.Jpg',
        'b/notes.txt',
        'readme.jpg',
        'a/deeper/y.jpg',
    )
    folder = image_folder.ImageFolder(str(tmp_path))
    assert folder.class_names == ('a', 'b', 'c c')
    assert [os.path.relpath(path, tmp_path) for path in folder.paths] == [
        'a/x.JPEG',
        'b/10.jpeg',
        'b/2.png',
        'c c/[1]*.Jpg',
    ]
    assert folder.labels.tolist() == [0, 1, 1, 2] and folder.labels.dtype == np.int32


def test_linked_classes_and_files_count(tmp_path):
    fill(tmp_path / 'elsewhere', 'cats/1.jpg')
    os.makedirs(tmp_path / 'set' / 'dogs')
    os.symlink(tmp_path / 'elsewhere' / 'cats', tmp_path / 'set' / 'cats')
    os.symlink(tmp_path / 'elsewhere' / 'cats' / '1.jpg', tmp_path / 'set' / 'dogs' / '1.jpg')
    folder = image_folder.ImageFolder(str(tmp_path / 'set'))
    assert folder.class_names == ('cats', 'dogs') and folder.labels.tolist() == [0, 1]


def test_hidden_folders_and_files_are_left_out_and_counted(tmp_path, capfd):
    fill(
        tmp_path,
        'a/1.jpg',
        'a/._1.jpg',
        'a/.DS_Store',
        'a/1.webp',
        'b/2.bmp',
        'b/Thumbs.db',
        '.ipynb_checkpoints/1.jpg',
        '__MACOSX/a/._1.jpg',
    )
    folder = image_folder.ImageFolder(str(tmp_path))
    assert folder.class_names == ('a', 'b') and folder.labels.tolist() == [0, 1]
    assert [os.path.relpath(path, tmp_path) for path in folder.paths] == ['a/1.jpg', 'b/2.bmp']
    hidden, others = capfd.readouterr().err.splitlines()
    assert hidden == (
        f'{tmp_path}: 4 x hidden folder or file (left out): {tmp_path}/.ipynb_checkpoints, '
        f'{tmp_path}/__MACOSX, {tmp_path}/a/.DS_Store, ...'
    )
    assert others == (
        f'{tmp_path}: 2 x file that is none of .jpg, .jpeg, .png, .bmp (left out): '
        f'{tmp_path}/a/1.webp, {tmp_path}/b/Thumbs.db'
    )
    fill(tmp_path, 'c/._3.jpg')
    with pytest.raises(ValueError, match='/c: a class without images'):
        image_folder.ImageFolder(str(tmp_path))


def test_what_is_missing_is_named(tmp_path):
    path = str(tmp_path / 'none')
    with pytest.raises(FileNotFoundError, match=f'^{re.escape(path)}: no such folder of images.$'):
        image_folder.ImageFolder(path)
    fill(tmp_path, 'flat/1.jpg')
    path = str(tmp_path / 'flat')
    with pytest.raises(FileNotFoundError, match='flat/1.jpg: no such folder of images.$'):
        image_folder.ImageFolder(os.path.join(path, '1.jpg'))
    with pytest.raises(ValueError) as error:
        image_folder.ImageFolder(path)
    assert str(error.value) == (
        f'{path} has no folders; images are expected in one folder per class.'
    )
    fill(tmp_path, 'flat/a/1.jpg', 'flat/b/1.gif')
    with pytest.raises(ValueError) as error:
        image_folder.ImageFolder(path)
    assert str(error.value) == f'{path}/b: a class without images (.jpg, .jpeg, .png, .bmp).'
