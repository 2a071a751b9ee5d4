"""The list of gin files: which are in it, and what it says of each."""

from __future__ import annotations

from official import listing


def write(root, path, text):
    file = root / 'gin_configs' / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding='utf-8')
    return file


def test_purpose_is_the_first_comment_line(tmp_path):
    file = write(tmp_path, 'a.gin', '\n#\n#  Seven layers — one table.  \n# More.\nf.x = 1\n')
    assert listing.purpose(file) == 'Seven layers — one table.'


def test_no_purpose_where_bindings_come_first(tmp_path):
    assert listing.purpose(write(tmp_path, 'a.gin', 'f.x = 1\n# Late.\n')) == ''
    assert listing.purpose(write(tmp_path, 'b.gin', '')) == ''


def test_entries_are_sorted_and_leave_out_parts(tmp_path):
    write(tmp_path, 'b/two.gin', '# Two.\n')
    write(tmp_path, 'a/deep/one.gin', '# One.\n')
    write(tmp_path, 'a/_part.gin', '# Included by others.\n')
    write(tmp_path, 'a/BUILD', '# No gin file.\n')
    assert listing.entries(tmp_path) == [
        ('gin_configs/a/deep/one.gin', 'One.'),
        ('gin_configs/b/two.gin', 'Two.'),
    ]


def test_no_folder_no_entries(tmp_path):
    assert listing.entries(tmp_path) == []
    assert listing.table([]) == ''


def test_table_has_two_columns():
    assert listing.table([('a.gin', 'One.'), ('long.gin', 'Two.'), ('c.gin', '')]) == (
        'a.gin     One.\nlong.gin  Two.\nc.gin\n'
    )


ROWS = [
    ('gin_configs/dqn/nature.gin', 'All games.'),
    ('gin_configs/dqn/nature/pong.gin', 'Pong.'),
    ('gin_configs/dqn/nature/qbert.gin', 'Q*Bert.'),
    ('gin_configs/ladder/digits.gin', 'Digits.'),
]


def test_overview_has_a_line_for_a_table_and_says_how_many_files_it_has():
    assert listing.overview(ROWS) == [
        ('gin_configs/dqn/nature.gin', 'All games. (2 files)'),
        ('gin_configs/ladder/digits.gin', 'Digits.'),
    ]


def test_words_match_path_and_purpose_in_any_case():
    assert listing.matching(ROWS, ['DQN', 'bert']) == [ROWS[2]]
    assert listing.matching(ROWS, ['games']) == [ROWS[0]]
    assert listing.matching(ROWS, ['dqn', 'digits']) == []
