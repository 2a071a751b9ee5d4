"""Tests of research.geometric.datasets.off; those of the real files skip without them."""

import pathlib
import sys

import numpy as np
import pytest

from research.geometric.datasets import off

SHARED = pathlib.Path(__file__).resolve().parents[4].parent / 'shared/data/modelnet10/off'

# A unit square, as one polygon, and a triangle above its first edge.
BODY = '''0 0 0
1 0 0
1 1 0
0 1 0
.5 0 1
4 0 1 2 3
3 0 1 4
'''


@pytest.mark.parametrize('text', [
    'OFF\n5 2 0\n' + BODY,
    'OFF5 2 0\n' + BODY,
    'OFF 5 2 0\n' + BODY,
    '# made by hand\nOFF\n\n5 2\n' + BODY.replace('1 1 0', '1  1 0 # a corner\n'),
    'OFF\r\n5 2 0\r\n' + BODY.replace('\n', '\r\n'),
    'OFF\n5 2 0\n' + BODY.replace('3 0 1 4', '3 0 1 4 255 0 0').replace('.5 0 1', '.5 0 1 7'),
])
def test_ways_to_write_one_mesh(tmp_path, text):
    path = tmp_path / 'a.off'
    path.write_bytes(text.encode())
    mesh = off.read(path)
    np.testing.assert_array_equal(
        mesh.vertices, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [.5, 0, 1]])
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3], [0, 1, 4]])
    assert mesh.areas().tolist() == [.5, .5, .5]


def test_a_pentagon_is_a_fan_and_a_line_is_left_out(tmp_path):
    path = tmp_path / 'a.off'
    path.write_text('OFF\n5 3 0\n' + '\n'.join(f'{i} {i * i} 0' for i in range(5)) +
                    '\n2 0 1\n5 4 3 2 1 0\n3 0 1 2\n', 'utf8')
    np.testing.assert_array_equal(
        off.read(path).faces, [[4, 3, 2], [4, 2, 1], [4, 1, 0], [0, 1, 2]])


@pytest.mark.parametrize('text, message', [
    ('', "line 1 is '', not OFF."),
    ('COFF\n5 2 0\n' + BODY, "line 1 is 'COFF', not OFF."),
    ('OFF\n', "line 2 is '', not the numbers of vertices, faces and edges."),
    ('OFF\n5 x 0\n', "line 2 is '5 x 0', not the numbers of vertices, faces and edges."),
    ('OFF\n5 3 0\n' + BODY,
     'truncated: 5 vertices and 3 faces are promised, 7 lines follow.'),
    ('OFF\n5 1 0\n' + BODY, 'too long: 5 vertices and 1 faces are promised, 7 lines follow.'),
    ('OFF\n5 2 0\n' + BODY.replace('1 1 0', '1 1'), "line 5 is '1 1', not 3 numbers."),
    ('OFF\n3 1 0\n0 0\n1 0\n1 1\n3 0 1 2\n', "line 3 is '0 0', not 3 numbers."),
    ('OFF\n5 2 0\n' + BODY.replace('1 1 0', '1 b 0'), "line 5 is '1 b 0', not 3 numbers."),
    ('OFF\n5 2 0\n' + BODY.replace('1 1 0', '1 nan 0'),
     'vertex 2, coordinate 1 is nan, not a finite number.'),
    ('OFF\n5 2 0\n' + BODY.replace('3 0 1 4', '3 0 1 5'),
     'line 9 has vertex 5, but vertices are 0 to 4.'),
    ('OFF\n5 2 0\n' + BODY.replace('3 0 1 4', '3 0 -1 4'),
     'line 9 has vertex -1, but vertices are 0 to 4.'),
    ('OFF\n5 2 0\n' + BODY.replace('3 0 1 4', '3 0 1'), "line 9 is '3 0 1', not 4 numbers."),
    ('OFF\n5 2 0\n' + BODY.replace('3 0 1 4', '-1 0 1'), 'line 9 is a face of -1 vertices.'),
    ('OFF\n5 0 0\n' + BODY.rpartition('4 0')[0], 'the mesh is empty, it has no faces.'),
])
def test_bad_files(tmp_path, text, message):
    path = tmp_path / 'a.off'
    path.write_text(text, 'utf8')
    with pytest.raises(ValueError) as error:
        off.read(path)
    assert str(error.value) == f'{path}: {message}'


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='a.off'):
        off.read(tmp_path / 'a.off')


def test_the_real_meshes():
    paths = sorted(SHARED.glob('*.off'))
    if not paths:
        pytest.skip(f'{SHARED}: no meshes')
    for path in paths:
        header = path.read_text('utf8').split('\n', 2)[1].split()
        mesh = off.read(path)
        assert (len(mesh.vertices), len(mesh.faces)) == (int(header[0]), int(header[1]))
        # Each coordinate is used, and not mixed up with another: an independent, slow reading.
        lines = path.read_text('utf8').splitlines()[2:]
        last = int(header[0]) - 1
        assert mesh.vertices[last].tolist() == [float(value) for value in lines[last].split()]
        assert mesh.faces[-1].tolist() == [int(value) for value in lines[-1].split()[1:]]


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
