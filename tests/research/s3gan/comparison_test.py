"""The page of several methods, of fabricated run folders: every number at its place."""

import base64
import html
import json
import os
import re
import sys
import xml.etree.ElementTree

import pytest

from official.core import config, gin_source, run_folder
from research.s3gan import comparison

# Files that this test names, so that their folder comes along: gin_configs/s3gan/mnist/biggan.gin
FOLDER = 'gin_configs/s3gan'
METHODS = ('biggan', 's3gan_10', 's2gan_10', 'single_label', 'biggan_10', 'clustering_100')


def write(folder, fid=None, score=None, rows=(), finished=True, **more):
    """A run folder as training leaves it; without scores, as one that is stopped leaves it."""
    os.makedirs(folder)
    if fid is not None:
        (folder / 'result.json').write_text(
            json.dumps(
                {
                    'step': 500,
                    'seed': 0,
                    'test_fid': fid,
                    'test_inception_score': score,
                    'train_seconds': 125.0,
                    **more,
                }
            )
        )
    if finished:
        (folder / 'run.json').write_text(json.dumps({'bindings': {}, 'finished': True}))
    if rows:
        (folder / 'history.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))


def scores(*fids, diversity=0.5):
    return [
        {
            'step': 100 * step,
            'test_fid': fid,
            'test_inception_score': 10 - fid / 100,
            'test_diversity': diversity,
        }
        for step, fid in enumerate(fids, 1)
    ]


def seeds(*values):
    mean = sum(values) / len(values)
    return {'mean': mean, 'std': 1.25, 'median': sorted(values)[1], 'values': values}


def make(tmp_path, data_set='mnist', methods=METHODS, first=(), **settings):
    def files(names):
        return [f'{FOLDER}/{data_set}/{name}.gin' for name in names]

    (tmp_path / 'comparison').mkdir(exist_ok=True)
    return comparison.Comparison(
        str(tmp_path / 'comparison'),
        3,
        None,
        None,
        files=files(methods),
        first=files(first),
        first_dir=str(tmp_path / 'first'),
        title='Seven & more',
        **settings,
    )


@pytest.fixture(name='made')
def _made(tmp_path):
    write(
        tmp_path / 'comparison' / 'biggan',
        20.04,
        9.5,
        scores(200.0, 50.0, 21.0),
        measured_on='5 sets, features of a small classifier',
    )
    write(
        tmp_path / 'comparison' / 's3gan_10',
        seeds(22.0, 23.0, 30.0),
        seeds(9.1, 9.2, 9.3),
        num_seeds=3,
    )
    for seed, last in enumerate((24.0, 28.0)):
        write(tmp_path / 'comparison' / 's3gan_10' / f'seed_{seed}', rows=scores(300.0, last))
    write(tmp_path / 'comparison' / 's2gan_10', 21.0, 9.4)
    write(tmp_path / 'comparison' / 'single_label', 40.0, 8.0)
    write(
        tmp_path / 'comparison' / 'biggan_10', rows=scores(50.0, 40.0, 900.0, 901.0), finished=False
    )
    write(
        tmp_path / 'first' / 'features_10',
        test_error_percent=3.125,
        test_top5_error_percent=0.5,
        fid=0,
        score=0,
    )
    return make(tmp_path, first=('features_10',))


def text_of(cell):
    return html.unescape(re.sub('<[^>]*>', '', cell))


def tables(page):
    """Heading before a table: its rows of cells, the heading row first."""
    found = {}
    for heading, body in re.findall(
        r'<h[23]>([^<]*)</h[23]>(?:(?!<h[23]).)*?<table>(.*?)</table>', page, re.DOTALL
    ):
        found[heading.split(':')[0]] = [
            [text_of(cell) for cell in re.findall('<t[hd][^>]*>(.*?)</t[hd]>', row)]
            for row in re.findall('<tr>(.*?)</tr>', body)
        ]
    return found


def test_every_number_stands_in_its_row_and_column(made):
    result = made.evaluate()
    assert result == run_folder.read_json(os.path.join(made.run_dir, 'result.json'))
    assert result['missing'] == ['clustering_100']
    assert result['collapsed'] == {'biggan_10': 'The generator has collapsed at step 400.'}
    with open(made.report()) as file:
        page = file.read()
    found = tables(page)
    four = ['', '', 'FID 5 %', 'FID 10 %', 'FID 20 %', 'IS 5 %', 'IS 10 %', 'IS 20 %']
    assert found['Table 4'][:1] + found['Table 4'][5:7] == [
        four,
        ['S3GAN', 'paper', '10.4', '8.0', '7.7', '59.6', '78.7', '83.1'],
        ['', 'ours', '', '23.0', '', '', '9.20', ''],
    ]
    assert found['Table 4'][3][0] == 'S2GAN-CO' and found['Table 4'][4] == ['', 'ours'] + 6 * ['']
    assert found['Table 5'][1:5] == [
        ['S2GAN', 'paper', '10.8', '8.9', '8.4', '57.6', '73.4', '77.4'],
        ['', 'ours', '', '21.0', '', '', '9.40', ''],
        ['+SOFT', 'paper', '15.4', '12.9', '10.4', '40.3', '49.8', '62.1'],
        ['', 'ours'] + 6 * [''],
    ]
    assert found['Table 2'][3:5] == [
        ['SINGLE LABEL', 'paper', '25.3', '20.4'],
        ['', 'ours', '40.0', '8.00'],
    ]
    assert found['Table 12'][5:7] == [
        [
            'S3GAN',
            'paper',
            '10.3 ± 0.16',
            '8.1 ± 0.14',
            '7.8 ± 0.20',
            '59.9 ± 0.74',
            '78.3 ± 1.08',
            '82.1 ± 1.89',
        ],
        ['', 'ours', '', '25.0 ± 1.25', '', '', '9.20 ± 1.25', ''],
    ]
    assert found['Table 13'][2] == ['', 'ours', '', '21.0', '', '', '9.40', '']
    assert found['Table 14'][7:9] == [
        ['SINGLE LABEL', 'paper', '71.7 ± 66.32', '15.4 ± 7.57'],
        ['', 'ours', '40.0', '8.00'],
    ]
    assert found['Table 3'] == [
        ['', '', '5 %', '10 %', '20 %'],
        ['TOP-1 ERROR', 'paper', '50.08', '36.74', '29.21'],
        ['', 'ours', '', '3.12', ''],
        ['TOP-5 ERROR', 'paper', '26.94', '16.04', '10.33'],
        ['', 'ours', '', '0.50', ''],
    ]
    assert found['Not in these tables'][1:] == [
        ['BigGAN', 'Sec. 5', '8.4', '20.0', '75.0', '9.50'],
        ['S3GAN 2.5 %', 'Sec. 5.4', '13.6', '', '46.3', ''],
        ['BigGAN-10%', 'Sec. 5.2', 'collapses after 60k to 120k steps', 'collapsed', '', ''],
        ['BigGAN-20%', 'Sec. 5.2', 'collapses after 60k to 120k steps', '', '', ''],
    ]
    assert found['Runs'][2] == [
        's3gan_10',
        'S3GAN 10 %',
        '3',
        '500',
        '25.0 ± 1.25',
        '9.20 ± 1.25',
        '',
        '',
        '',
        '2 min 5 s',
    ]
    assert '<a href="s3gan_10/report.html">' in page
    assert 'Not run: clustering_100.' in page
    assert 'biggan_10: The generator has collapsed at step 400.' in page
    assert '<h1>Seven &amp; more</h1>' in page


def test_the_order_counts_pairs_that_the_paper_has_in_the_same_order(made):
    made.evaluate()
    with open(made.report()) as file:
        page = file.read()
    rows = tables(page)['Order of the methods']
    # FID in the paper: S3GAN, BigGAN, S2GAN, SINGLE LABEL; here BigGAN, S2GAN, S3GAN, SINGLE LABEL.
    assert [row[:5] for row in rows] == [
        ['method', 'FID, paper', 'place', 'FID, ours', 'place'],
        ['S3GAN 10 %', '8.00', '1', '23.0', '3'],
        ['BigGAN', '8.40', '2', '20.0', '1'],
        ['S2GAN 10 %', '8.90', '3', '21.0', '2'],
        ['SINGLE LABEL', '25.3', '4', '40.0', '4'],
    ]
    assert [row[6] + row[8] for row in rows[1:]] == ['13', '21', '32', '44']
    assert 'by FID 4 of 6 pairs, by IS 4 of 6 pairs' in page


def drawn(page, alt):
    source = re.search(rf'alt="{alt}[^"]*" src="data:image/svg\+xml;base64,([^"]*)"', page).group(1)
    return xml.etree.ElementTree.fromstring(base64.b64decode(source))


def path_of(svg, gid):
    (group,) = (group for group in svg.iter() if group.get('id') == gid)
    path = next(child.get('d') for child in group.iter() if child.get('d'))
    return [tuple(map(float, point)) for point in re.findall(r'[ML] (\S+) (\S+)', path)]


def test_bars_are_as_long_as_the_fid_and_the_line_is_biggan(made):
    made.evaluate()
    with open(made.report()) as file:
        page = file.read()
    svg = drawn(page, 'Figure 8, ours')
    width = {
        name: max(x for x, _ in path_of(svg, f'bar-{name}'))
        - min(x for x, _ in path_of(svg, f'bar-{name}'))
        for name in ('s2gan_10', 's3gan_10')
    }
    assert width['s3gan_10'] / width['s2gan_10'] == pytest.approx(23 / 21, rel=1e-3)
    left = min(x for x, _ in path_of(svg, 'bar-s2gan_10'))
    line = path_of(svg, 'biggan')[0][0] - left
    assert line / width['s2gan_10'] == pytest.approx(20.04 / 21, rel=1e-3)
    assert {group.get('id') for group in svg.iter() if 'bar-' in group.get('id', '')} == {
        'bar-s2gan_10',
        'bar-s3gan_10',
    }
    of_paper = drawn(page, 'Figure 8, paper')
    assert sum('bar-' in group.get('id', '') for group in of_paper.iter()) == 12
    assert 'scales of their own' in page


def test_curves_are_means_of_the_seeds(made):
    made.evaluate()
    with open(made.report()) as file:
        page = file.read()
    svg = drawn(page, 'IS against generator steps')
    (x0, y0), (x1, y1) = path_of(svg, 'curve-S3GAN 10 %')
    biggan = path_of(svg, 'curve-BigGAN')
    assert [x for x, _ in biggan[:2]] == [x0, x1]
    # Step 100: 7 and 8; step 200: (9.76 + 9.72) / 2 and 9.5.
    scale = (biggan[1][1] - biggan[0][1]) / (9.5 - 8)
    assert (y0 - biggan[0][1]) / scale == pytest.approx(-1, abs=1e-3)
    assert (y1 - biggan[1][1]) / scale == pytest.approx(0.24, abs=1e-3)
    assert path_of(svg, 'curve-BigGAN-10%')


@pytest.mark.parametrize('published', [False, True])
def test_what_may_be_compared_is_said(tmp_path, published):
    data_set = 'imagenet' if published else 'mnist'
    write(tmp_path / 'comparison' / 'biggan', 20.0, 9.5, measured_on='7 sets')
    made = make(tmp_path, data_set, ['biggan'], as_published=published)
    made.evaluate()
    with open(made.report()) as file:
        page = text_of(file.read())
    told = 'The numbers cannot be compared; only the order of the methods can.' in page
    assert told is not published
    assert ('a different data set, mnist' in page and 'a small classifier' in page) is told
    assert 'Ours are measured on 7 sets.' in page


def script(tmp_path, monkeypatch, what):
    """In place of training, a script that notes the folder and does `what` there."""
    path = tmp_path / 'train.sh'
    path.write_text(f"""#!/bin/sh
for word; do case $word in --model_dir=*) folder=${{word#--model_dir=}};; esac; done
echo $folder >> {tmp_path}/trained
mkdir -p $folder && cd $folder && {what}
""")
    path.chmod(0o755)
    monkeypatch.setattr(sys, 'executable', str(path))


def test_features_are_trained_first_and_what_has_run_is_not_run_again(tmp_path, monkeypatch):
    write(tmp_path / 'comparison' / 'biggan', 20.0, 9.5)
    script(tmp_path, monkeypatch, 'echo \'{"test_fid": 5.0}\' > result.json')
    made = make(tmp_path, methods=('biggan', 's3gan_10'), first=('features_10',))
    made.train()
    assert (tmp_path / 'trained').read_text().split() == [
        str(tmp_path / 'first' / 'features_10'),
        str(tmp_path / 'comparison' / 's3gan_10'),
    ]
    assert set(made.evaluate()['experiments']) == {'biggan', 's3gan_10'}


@pytest.mark.parametrize('fids, fails', [((50.0, 40.0, 900.0, 901.0), False), ((50.0, 40.0), True)])
def test_a_run_that_fails_is_an_error_unless_it_has_collapsed(tmp_path, monkeypatch, fids, fails):
    lines = '\\n'.join(json.dumps(row) for row in scores(*fids))
    script(tmp_path, monkeypatch, f"printf '{lines}\\n' > history.jsonl; exit 1")
    made = make(tmp_path, methods=('biggan_10',))
    if fails:
        with pytest.raises(RuntimeError, match='failed.*biggan_10'):
            made.train()
    else:
        made.train()
    assert made.evaluate()['missing'] == (['biggan_10'] if fails else [])


def test_nothing_has_run(tmp_path):
    made = make(tmp_path, methods=('biggan', 's3gan_10'))
    assert made.evaluate()['missing'] == ['biggan', 's3gan_10']
    with open(made.report()) as file:
        page = text_of(file.read())
    assert 'Not run: biggan, s3gan_10.' in page
    assert 'No run has recorded scores.' in page and 'Fewer than two methods' in page


def test_bad_files(tmp_path):
    (tmp_path / 'comparison').mkdir()

    def files(*names):
        return comparison.Comparison(
            str(tmp_path / 'comparison'), files=[f'{FOLDER}/{name}.gin' for name in names]
        )

    with pytest.raises(ValueError, match='of one data set.*in gin_configs/s3gan/imagenet, gin_con'):
        files('mnist/biggan', 'imagenet/s3gan_10')
    with pytest.raises(ValueError, match="'digits_s3gan_co' is not the name of a method"):
        files('digits_s3gan_co')


@pytest.mark.parametrize('name', ['mnist', 'imagenet'])
def test_the_gin_files_name_what_there_is(name, tmp_path):
    bindings = config.read(f'{FOLDER}/{name}.gin').source.bindings
    files, first = (
        bindings[f'research.s3gan.comparison.Comparison.{key}'].value for key in ('files', 'first')
    )
    made = comparison.Comparison(str(tmp_path / name), files=files, first=first)
    assert made.data_set == name
    # Where the launcher puts a method that is trained by itself.
    assert made.runs.run_dir == str(tmp_path / name)
    assert made.first.run_dir == os.path.join(gin_source.ROOT, 'runs', 's3gan', name)
    # Every file of labels that one of them reads is left by one of the features'.
    wanted = set()
    for path in made.runs.files.values():
        for key, binding in config.read(path).source.bindings.items():
            if key.endswith('inferred_labels.path'):
                wanted.add(binding.value.split('/')[0])
            if key.endswith('inferred_labels.folder'):
                assert binding.value == f'runs/s3gan/{name}'
    assert wanted and wanted <= set(made.first.files)
