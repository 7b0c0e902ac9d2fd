import fcntl
import json
import os
import pathlib
import sys
import unittest.mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

import tfp_cglow
from train.ablation import ablation_rows
from train.ablation import grid
from train.config import configs
from train.config import fields
from train.config import presets

# A child that claims its folder as a run does, and does what `plan` says of
# its cell: 'fail', 'refuse', 'die' (the first time), 'wait', 'meet:CELL' (until
# that cell has started as well) or 'silent'. Configs need the library's specs
# alone, so it does without TensorFlow, whose import takes seconds.
_CHILD = """
import json, os, pathlib, sys, time, types
sys.path[:0] = {path!r}
library = sys.modules['tfp_cglow'] = types.ModuleType('tfp_cglow')
library.__path__ = [{library!r}]
from tfp_cglow.bijectors import specs
from tfp_cglow.video import specs as video_specs
vars(library).update({{**vars(specs), **vars(video_specs)}})
import numpy as np
from train.config import overrides
from train.config import presets
from train.storage import files
from train.storage import run_folder

plan = json.loads(pathlib.Path({plan!r}).read_text())
flags, settings = {{}}, []
for arg in sys.argv[1:]:
  key, _, value = arg.partition('=')
  if key == '--set':
    settings.append(value)
  else:
    flags[key[2:]] = value
config = overrides.override(presets.PRESETS[flags['preset']], settings)
(part,), seed = config.model.parts, config.seed
folder = run_folder.RunFolder(flags['workdir'])
folder.create()
resumed = folder.config_file.exists()
try:
  folder.claim(config)
except files.RunFolderError as e:
  sys.exit(print('error:', e, file=sys.stderr) or 2)
root = folder.path.parents[1]
name = folder.path.relative_to(root).as_posix()
(folder.path / 'pid').write_text(str(os.getpid()))
with open(root / 'started.txt', 'a') as f:
  f.write(json.dumps([name, resumed, os.environ.get('TF_NUM_INTRAOP_THREADS'),
                      os.environ.get('TF_NUM_INTEROP_THREADS')]) + '\\n')
todo = plan.get(name, '')
if todo == 'fail':
  raise RuntimeError('it broke')
if todo == 'refuse':
  sys.exit(print('error: no such file', file=sys.stderr) or 2)
if todo == 'die' and not resumed:
  os.kill(os.getpid(), 9)
if todo == 'wait':
  time.sleep(60)
if todo.startswith('meet:'):
  end = time.monotonic() + 30
  while not (root / todo[5:] / 'pid').exists():
    if time.monotonic() > end:
      sys.exit('met nobody')
    time.sleep(0.01)
if todo != 'silent':
  bits = 1.0 + seed
  scores = np.full([4] if part == 'head' else [4, 3], bits)
  np.savez(folder.path / 'scores.npz', label=[0, 1, 0, 1], **{{part: scores}})
  folder.write_metrics({{
    f'{{part}}_bits_per_dim': bits, 'step': 6, 'seconds': 1.0,
    'num_train_clips': 8, 'num_valid_clips': 4,
  }})
"""


class AblationTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.create_tempdir().full_path)
    self.workdir = root / 'ablation'
    self.plan = root / 'plan.json'
    self.script = root / 'child.py'
    self.script.write_text(
      _CHILD.format(
        path=[str(p) for p in sys.path],
        library=os.path.dirname(tfp_cglow.__file__),
        plan=str(self.plan),
      )
    )

  def _run(self, plan=None, rows=('previous', 'residual'), **keywords):
    self.plan.write_text(json.dumps(plan or {}))
    keywords = {'assignments': [], 'num_seeds': 1, 'jobs': 1, **keywords}
    return grid.run(
      'smoke',
      workdir=str(self.workdir),
      row_names=rows,
      program=(sys.executable, str(self.script)),
      **keywords,
    )

  def _started(self):
    """[name, resumed, threads, threads] of every child so far."""
    file = self.workdir / 'started.txt'
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]

  def _rows(self):
    report = json.loads((self.workdir / 'ablation.json').read_text())
    return {row['name']: row for row in report['rows']}

  def test_every_cell_once_and_a_report(self):
    paths = self._run(num_seeds=2)
    self.assertEqual([path.parent for path in paths], [self.workdir] * 3)
    self.assertEqual(
      [path.suffix for path in paths if path.exists()], ['.md', '.json', '.png']
    )
    self.assertEqual(
      [name for name, *_ in self._started()],
      [
        'previous/seed_0',
        'residual/seed_0',
        'previous/seed_1',
        'residual/seed_1',
      ],
    )
    self.assertEqual(
      self._rows()['previous']['bits_per_dim']['by_seed'], [1.0, 2.0]
    )

  def test_again_trains_nothing(self):
    self._run()
    started = self._started()
    seconds = self._rows()['previous']['seconds']
    self._run()
    self.assertEqual(self._started(), started)
    self.assertEqual(self._rows()['previous']['seconds'], seconds)

  def test_more_seeds_train_only_those(self):
    self._run(rows=['previous'])
    self._run(rows=['previous'], num_seeds=2)
    self.assertEqual(
      [name for name, *_ in self._started()],
      ['previous/seed_0', 'previous/seed_1'],
    )

  def test_the_cells_config(self):
    self._run(
      rows=['residual_label_prior'],
      assignments=['run.steps=9', 'model.tail.labels=none'],
    )
    cell = self.workdir / 'residual_label_prior' / 'seed_0'
    config = configs.from_json((cell / 'config.json').read_text())
    self.assertEqual((config.preset, config.model.parts), ('smoke', ('tail',)))
    self.assertEqual(config.run.steps, 9)
    self.assertEqual(config.model.tail.labels, tfp_cglow.LabelPriors())
    self.assertIsNone(config.model.export_max_frames)
    self.assertEqual(config.run.num_samples, 0)

  def test_the_papers_rows_have_the_papers_preset(self):
    self._run(rows=['paper_head', 'head_no_label'], assignments=['run.steps=9'])
    for name, preset in (
      ('paper_head', 'paper_small'),
      ('head_no_label', 'smoke'),
    ):
      text = (self.workdir / name / 'seed_0' / 'config.json').read_text()
      config = configs.from_json(text)
      self.assertEqual((config.preset, config.run.steps), (preset, 9))

  def test_failures_do_not_stop_the_others(self):
    with self.assertRaises(grid.AblationError) as caught:
      self._run(
        {
          'previous/seed_0': 'fail',
          'residual/seed_0': 'refuse',
          'residual/seed_1': 'silent',
        },
        num_seeds=2,
      )
    message = str(caught.exception)
    self.assertNotIn('\n', message)
    self.assertStartsWith(message, '3 of 4 cells failed: ')
    for text in (
      'previous/seed_0 (exit code 1: RuntimeError: it broke; ',
      str(self.workdir / 'previous' / 'seed_0' / 'log.txt'),
      'residual/seed_0 (no such file; ',
      'residual/seed_1 (ended without a metrics.json; ',
    ):
      self.assertIn(text, message)
    rows = self._rows()
    self.assertEqual(rows['previous']['bits_per_dim']['by_seed'], [2.0])
    self.assertEqual(list(rows['previous']['failed']), ['previous/seed_0'])
    self.assertIsNone(rows['residual']['bits_per_dim']['mean'])
    markdown = (self.workdir / 'ablation.md').read_text()
    self.assertIn('1 of 2, 1 FAILED', markdown)
    self.assertIn('previous/seed_0: exit code 1: RuntimeError', markdown)

  def test_a_killed_cell_continues(self):
    plan = {'previous/seed_0': 'die'}
    with self.assertRaisesRegex(grid.AblationError, 'killed by SIGKILL'):
      self._run(plan, rows=['previous'])
    self._run(plan, rows=['previous'])
    self.assertEqual(
      [resumed for _, resumed, *_ in self._started()], [False, True]
    )
    sessions = self.workdir / 'previous' / 'seed_0' / 'sessions.jsonl'
    rows = [json.loads(line) for line in sessions.read_text().splitlines()]
    self.assertEqual([row['exit_code'] for row in rows], [-9, 0])
    self.assertAlmostEqual(
      self._rows()['previous']['seconds']['mean'],
      sum(row['seconds'] for row in rows),
    )

  def test_another_config_is_the_childs_error(self):
    self._run(rows=['previous'])
    with self.assertRaisesRegex(
      grid.AblationError, r'previous/seed_0 \(.*steps: 6 -> 7'
    ):
      self._run(rows=['previous'], assignments=['run.steps=7'])
    # What the folder holds is not of this ablation.
    self.assertIsNone(self._rows()['previous']['bits_per_dim']['mean'])

  def test_jobs_run_side_by_side_and_share_the_cores(self):
    with unittest.mock.patch.object(os, 'cpu_count', return_value=6):
      self._run(
        {
          'previous/seed_0': 'meet:residual/seed_0',
          'residual/seed_0': 'meet:previous/seed_0',
        },
        jobs=2,
      )
    self.assertEqual([threads for *_, threads in self._started()], ['3', '3'])
    self.assertEqual([x[2] for x in self._started()], ['3', '3'])
    markdown = (self.workdir / 'ablation.md').read_text()
    self.assertIn('2 at a time, 3 thread(s) each', markdown)

  def test_no_more_than_jobs(self):
    """The first ends before the third starts: it would wait for ever."""
    with (
      unittest.mock.patch.dict(os.environ),
      self.assertRaisesRegex(grid.AblationError, 'met nobody'),
    ):
      os.environ.pop('TF_NUM_INTRAOP_THREADS', None)
      script = self.script.read_text().replace('+ 30', '+ 1')
      self.script.write_text(script)
      self._run({'previous/seed_0': 'meet:residual/seed_0'})
    self.assertEqual(
      [threads for *_, threads, _ in self._started()], [None, None]
    )

  def test_an_interrupt_ends_the_children(self):
    def interrupt(seconds):
      if self._started() and next(presses, None) is not None:
        raise KeyboardInterrupt

    presses = iter([1])

    with (
      unittest.mock.patch.object(grid.time, 'sleep', interrupt),
      self.assertRaises(KeyboardInterrupt),
    ):
      self._run({'previous/seed_0': 'wait'})
    pid = int((self.workdir / 'previous' / 'seed_0' / 'pid').read_text())
    with self.assertRaises(ProcessLookupError):
      os.kill(pid, 0)
    self.assertLen(self._started(), 1)
    sessions = self.workdir / 'previous' / 'seed_0' / 'sessions.jsonl'
    self.assertEqual(json.loads(sessions.read_text())['exit_code'], -15)

  def test_a_cell_that_another_process_trains(self):
    """As a child does that outlived the ablation that started it."""
    (cell,) = ablation_rows.cells_of(
      ablation_rows.rows_for(True, ['previous']), 1, self.workdir
    )
    cell.path.mkdir(parents=True)
    with open(cell.log, 'a') as log:
      fcntl.flock(log, fcntl.LOCK_EX)
      with self.assertRaisesRegex(grid.AblationError, 'another process trains'):
        self._run(rows=['previous'])
    self.assertEmpty(self._started())
    self._run(rows=['previous'])

  @parameterized.named_parameters(
    ('unknown_key', {'assignments': ['step=3']}, 'Did you mean .*run.steps'),
    ('seed', {'assignments': ['seed=3']}, "'seed=3'"),
    ('model', {'assignments': ['model.head=none']}, "'model.head=none'"),
    ('row', {'rows': ['previos']}, 'Did you mean previous'),
    ('jobs', {'jobs': 0}, '1 of jobs, but got 0'),
    ('seeds', {'num_seeds': 0}, '1 of seeds, but got 0'),
    ('value', {'assignments': ['data.channels=2']}, 'takes 1 or 3'),
    (
      'tail_of_images',
      {'assignments': ['data.num_frames=1']},
      "'previous' trains a tail",
    ),
  )
  def test_errors_before_anything_is_trained(self, keywords, message):
    with self.assertRaisesRegex(fields.ConfigError, message):
      self._run(**keywords)
    self.assertFalse(self.workdir.exists())

  def test_workdir_is_a_file(self):
    self.workdir.write_text('')
    with self.assertRaisesRegex(grid.AblationError, 'Cannot write to'):
      self._run()

  def test_program_that_is_not_there(self):
    with self.assertRaisesRegex(grid.AblationError, 'No such file'):
      grid.run(
        'smoke', [], self.workdir, 1, ['previous'], program=('/none/python',)
      )

  def test_images_have_heads_only(self):
    self._run(rows=(), assignments=['data.num_frames=1'])
    self.assertEqual({row['part'] for row in self._rows().values()}, {'head'})
    self.assertIn('smoke', presets.PRESETS)
    scores = self.workdir / 'paper_head' / 'seed_0' / 'scores.npz'
    self.assertIn('head', np.load(scores))


if __name__ == '__main__':
  absltest.main()
