"""Tests of research.geometric.datasets.off."""

import numpy as np
import pytest

from research.geometric.datasets import off

# A unit square, as one polygon, and a triangle above its first edge.
BODY = """0 0 0
1 0 0
1 1 0
0 1 0
.5 0 1
4 0 1 2 3
3 0 1 4
"""


def more(numbers):
    """The body with more numbers after those of each vertex."""
    lines = BODY.splitlines()
    return '\n'.join([f'{line} {numbers}' for line in lines[:5]] + lines[5:]) + '\n'


@pytest.mark.parametrize(
    'text',
    [
        'OFF\n5 2 0\n' + BODY,
        'OFF5 2 0\n' + BODY,
        'OFF 5 2 0\n' + BODY,
        '# made by hand\nOFF\n\n5 2\n' + BODY.replace('1 1 0', '1  1 0 # a corner\n'),
        'OFF\r\n5 2 0\r\n' + BODY.replace('\n', '\r\n'),
        'OFF\n5 2 0\n' + BODY.replace('3 0 1 4', '3 0 1 4 255 0 0').replace('.5 0 1', '.5 0 1 7'),
        'off\n5 2 0\n' + BODY,
        '\ufeffOFF\n5 2 0\n' + BODY,
        # Colours of three or four numbers, normals, texture coordinates after the vertices.
        'COFF\n5 2 0\n' + more('255 0 0 255'),
        'coff5 2 0\n' + more('.1 .2 .3'),
        'NOFF\n5 2 0\n' + more('0 0 1'),
        'STCNOFF\n5 2 0\n' + more('0 0 1 255 0 0 255 .5 .5'),
        # Edges, or anything else, after the last face.
        'OFF\n5 2 7\n' + BODY + '2 0 1\n2 1 2\n',
        'OFF\n5 2 0\n' + BODY + 'made by hand\n',
        # Lines that break elsewhere: counts, vertices and faces; with colours as well.
        'OFF\n5\n2 0\n' + BODY,
        'OFF 5 2 0 0 0 0\n' + BODY.partition('\n')[2],
        'OFF\n5 2 0\n0 0 0 1 0 0\n1 1\n0 0 1 0\n.5\n0 1\n4 0 1\n2 3\n3 0 1 4\n',
        'OFF\n5 2 0\n0 0 0 1 0 0 1 1 0 0 1 0 .5 0 1\n4 0 1 2 3 3 0 1 4\n',
        'OFF\n5 2 0\n0 0 0 1 0 0\n1 1 0 0 1 0\n.5 0 1\n4 0 1 2 3 9 9 9\n3 0 1 4 8 8 8\n',
        'COFF\n5 2 0\n' + more('9 9\n9 9'),
        'COFF\n5 2 0\n' + more('9\n9 9'),
        'OFF\n5 2 7\n0 0 0 1 0 0\n1 1 0 0 1 0\n.5 0 1\n4 0 1 2 3 3 0 1 4\n2 0 1\n',
    ],
)
def test_ways_to_write_one_mesh(tmp_path, text):
    path = tmp_path / 'a.off'
    path.write_bytes(text.encode())
    mesh = off.read(path)
    np.testing.assert_array_equal(
        mesh.vertices, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0, 1]]
    )
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3], [0, 1, 4]])
    assert mesh.areas().tolist() == [0.5, 0.5, 0.5]


def test_a_pentagon_is_a_fan_and_a_line_is_left_out(tmp_path):
    path = tmp_path / 'a.off'
    path.write_text(
        'OFF\n5 3 0\n'
        + '\n'.join(f'{i} {i * i} 0' for i in range(5))
        + '\n2 0 1\n5 4 3 2 1 0\n3 0 1 2\n',
        'utf8',
    )
    np.testing.assert_array_equal(
        off.read(path).faces, [[4, 3, 2], [4, 2, 1], [4, 1, 0], [0, 1, 2]]
    )


@pytest.mark.parametrize(
    'text, message',
    [
        ('', "line 1 is '', not OFF."),
        ('PLY\n5 2 0\n' + BODY, "line 1 is 'PLY', not OFF."),
        (
            '4OFF\n5 2 0\n' + BODY,
            "line 1 is '4OFF'; only text files of vertices with three coordinates are read.",
        ),
        (
            'nOFF 2\n5 2 0\n' + BODY,
            "line 1 is 'nOFF 2'; only text files of vertices with three coordinates are read.",
        ),
        (
            'OFF BINARY\n5 2 0\n' + BODY,
            "line 1 is 'OFF BINARY'; only text files of vertices with three coordinates are read.",
        ),
        ('OFF\n', "line 2 is '', not the numbers of vertices, faces and edges."),
        ('OFF\n5 x 0\n', "line 2 is '5 x 0', not the numbers of vertices, faces and edges."),
        ('OFF\n5 3 0\n' + BODY, 'truncated: 5 vertices and 3 faces are promised, 7 lines follow.'),
        # Free line breaks must not turn a missing or a surplus number into another mesh.
        (
            'OFF\n5 2 0\n' + BODY.replace('1 1 0', '1 1') + '2 0 1\n',
            "line 5 is '1 1', not 3 numbers.",
        ),
        (
            'OFF\n5 2 0\n0 0 0 1 0\n0 1 1 0 0 1 0\n.5 0\n4 0 1 2 3 3 0 1 4\n',
            'truncated: 5 vertices and 2 faces are promised, 4 lines follow.',
        ),
        ('OFF\n5 2 0\n' + BODY.replace('1 1 0', '1 1'), "line 5 is '1 1', not 3 numbers."),
        ('OFF\n3 1 0\n0 0\n1 0\n1 1\n3 0 1 2\n', "line 3 is '0 0', not 3 numbers."),
        ('OFF\n5 2 0\n' + BODY.replace('1 1 0', '1 b 0'), "line 5 is '1 b 0', not 3 numbers."),
        (
            'OFF\n5 2 0\n' + BODY.replace('1 1 0', '1 nan 0'),
            'vertex 2, coordinate 1 is nan, not a finite number.',
        ),
        (
            'OFF\n5 2 0\n' + BODY.replace('3 0 1 4', '3 0 1 5'),
            'line 9 has vertex 5, but vertices are 0 to 4.',
        ),
        (
            'OFF\n5 2 0\n' + BODY.replace('3 0 1 4', '3 0 -1 4'),
            'line 9 has vertex -1, but vertices are 0 to 4.',
        ),
        ('OFF\n5 2 0\n' + BODY.replace('3 0 1 4', '3 0 1'), "line 9 is '3 0 1', not 4 numbers."),
        ('OFF\n5 2 0\n' + BODY.replace('3 0 1 4', '-1 0 1'), 'line 9 is a face of -1 vertices.'),
        ('OFF\n5 0 0\n' + BODY.rpartition('4 0')[0], 'the mesh is empty, it has no faces.'),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / 'a.off'
    path.write_text(text, 'utf8')
    with pytest.raises(ValueError) as error:
        off.read(path)
    assert str(error.value) == f'{path}: {message}'


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='a.off'):
        off.read(tmp_path / 'a.off')


def test_as_modelnet_writes_them(tmp_path):
    """Its glued header and many lines, each coordinate and corner by an independent reading."""
    random = np.random.default_rng(0)
    vertices = random.normal(size=(300, 3)).round(4)
    faces = random.integers(0, 300, (500, 3))
    path = tmp_path / 'bathtub_0001.off'
    path.write_text(
        'OFF300 500 0\n'
        + ''.join(' '.join(map(str, row)) + ' \n' for row in vertices.tolist())
        + ''.join(f'3 {a} {b} {c} \n' for a, b, c in faces.tolist()),
        'utf8',
    )
    mesh = off.read(path)
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)
