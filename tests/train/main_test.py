import contextlib
import io
import logging
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest.mock

from absl import app
from absl.testing import absltest
from absl.testing import flagsaver
from absl.testing import parameterized
import numpy as np
import PIL.Image

from train import flags
from train import main
from train.config import older_presets
from train.config import presets
from train.data.sets import moving_shapes
from train.storage import run_folder


class MainTest(parameterized.TestCase):
  """Every error a user can put right: one line, exit code 2."""

  def _run(self, **flag_values):
    stderr = io.StringIO()
    flags = flagsaver.flagsaver(**flag_values)
    with flags, contextlib.redirect_stderr(stderr):
      code = main.main(['main'])
    return code, stderr.getvalue()

  @parameterized.named_parameters(
    ('unknown_key', {'set': ['step=3']}, 'run.steps'),
    (
      'bad_value',
      {'set': ['run.steps=many']},
      "takes int, at least 1 and at most 1000000000, but got 'many'",
    ),
    ('unknown_dataset', {'dataset': 'natvidd'}, 'Did you mean natvid?'),
    ('folder_without_data_dir', {'dataset': 'folder'}, '--data_dir'),
    ('no_such_folder', {'dataset': 'folder', 'data_dir': '/none'}, '/none'),
    (
      'size',
      {'preset': 'smoke', 'set': ['data.frame_size=31']},
      'divisible by 2, but got frames of 31x31',
    ),
    ('loss_of_a_flow', {'set': ['model.loss=hinge']}, 'No such config key'),
    (
      'ablation_of_a_gan',
      {'mode': 'ablate', 'preset': 'gan_paper'},
      '--mode=ablate is for flows',
    ),
    ('no_run', {'mode': 'sample', 'workdir': '/none'}, 'holds no run'),
    ('no_run_to_report', {'mode': 'report'}, 'holds no run'),
    ('workdir_is_a_file', {'workdir': __file__}, 'is a file'),
  )
  def test_error(self, flag_values, message):
    scratch = self.create_tempdir().full_path
    values = {'workdir': os.path.join(scratch, 'run'), **flag_values}
    code, stderr = self._run(**values)
    self.assertEqual(code, 2)
    self.assertLen(stderr.strip().splitlines(), 1)
    self.assertStartsWith(stderr, 'error: ')
    self.assertIn(message, stderr)

  @parameterized.parameters(
    ('train/main.py', True),
    ('train/systems/gan/video_gan.py', True),
    ('train/report/held_out.py', True),
    ('tfp_cglow/video/video_glow.py', True),
    ('elsewhere/train/main.py', False),
    ('trained/main.py', False),
  )
  def test_shows_records_of_its_packages_and_errors(self, path, is_own):
    root = pathlib.Path(main.__file__).parents[1]
    for level, is_shown in (
      (logging.INFO, is_own),
      (logging.WARNING, is_own),
      (logging.ERROR, True),
    ):
      record = logging.makeLogRecord(
        {'pathname': str(root / path), 'levelno': level}
      )
      self.assertEqual(main._is_own_or_error(record), is_shown)

  def test_clips_longer_than_every_video(self):
    data_dir = self.create_tempdir().full_path
    moving_shapes.write_shapes(
      data_dir,
      'shapes:motion',
      videos_per_label=3,
      num_frames=4,
      size=16,
      seed=0,
    )
    code, stderr = self._run(
      preset='smoke',
      dataset='folder',
      data_dir=data_dir,
      workdir=os.path.join(self.create_tempdir().full_path, 'run'),
      set=['data.num_frames=5', 'data.valid_fraction=0.4'],
    )
    self.assertEqual(code, 2)
    self.assertIn('num_frames=5 is longer than every clip', stderr)
    self.assertLen(stderr.strip().splitlines(), 1)

  def test_a_signal_and_a_second_process(self):
    workdir = pathlib.Path(self.create_tempdir().full_path, 'run')
    command = [
      *(sys.executable, '-m', 'train.main', '--preset=smoke'),
      *(
        f'--workdir={workdir}',
        '--set=run.steps=100000',
        '--set=run.log_every=1',
        '--set=model.tail=none',
      ),
    ]
    root = pathlib.Path(main.__file__).parents[1]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    with subprocess.Popen(
      command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
      try:
        while process.poll() is None and not list(
          workdir.glob('checkpoints/step_*3')
        ):
          time.sleep(0.1)
        code, stderr = self._run(preset='smoke', workdir=str(workdir))
        self.assertEqual(code, 2)
        self.assertIn(f'by process {process.pid}', stderr)
        process.send_signal(signal.SIGTERM)
        stderr = process.communicate(timeout=60)[1]
      finally:
        process.kill()
    self.assertEqual(process.returncode, 75, stderr)
    self.assertIn('Stopped by SIGTERM; the same command continues.', stderr)
    saved = max(workdir.glob('checkpoints/step_*')).name
    rows = run_folder.RunFolder(workdir).read_metrics()
    self.assertEqual(int(saved[5:]), rows[-1]['step'])

  def test_empty_data_folder(self):
    code, stderr = self._run(
      dataset='folder',
      data_dir=self.create_tempdir().full_path,
      workdir=os.path.join(self.create_tempdir().full_path, 'run'),
    )
    self.assertEqual(code, 2)
    self.assertIn('empty', stderr)

  def test_label_without_a_video_that_decodes(self):
    root = self.create_tempdir()
    for label in ('cat', 'dog'):
      for i in range(8):
        root.create_file(f'{label}/{i}.mp4', content='no video')
    code, stderr = self._run(
      dataset='folder',
      data_dir=root.full_path,
      workdir=os.path.join(self.create_tempdir().full_path, 'run'),
      set=['data.valid_fraction=0.4'],
    )
    self.assertEqual(code, 2)
    self.assertIn('cat, dog', stderr)
    self.assertLen(stderr.strip().splitlines(), 1)

  def test_images_from_a_folder_to_prepared_records_to_a_head(self):
    scratch = self.create_tempdir().full_path
    images = os.path.join(scratch, 'images')
    rng = np.random.default_rng(0)
    for k in range(24):
      folder = os.path.join(images, f'label_{k % 2}')
      os.makedirs(folder, exist_ok=True)
      pixels = rng.integers(256, size=[20, 24, 3]).astype(np.uint8)
      PIL.Image.fromarray(pixels).save(os.path.join(folder, f'{k}.png'))
    records = os.path.join(scratch, 'records')
    size = [
      *(
        'data.num_frames=1',
        'model.tail=none',
        'run.steps=3',
        'run.quality_samples=0',
        'model.export_max_frames=none',
      ),
    ]
    # No worker processes, which would import TensorFlow each.
    with unittest.mock.patch.object(os, 'cpu_count', return_value=0):
      code, stderr = self._run(
        mode='prepare',
        preset='smoke',
        dataset='image_folder',
        data_dir=images,
        output_dir=records,
        set=[*size, 'data.valid_fraction=0.3'],
      )
    self.assertEqual(code, 0, stderr)
    run = os.path.join(scratch, 'run')
    code, stderr = self._run(
      preset='smoke',
      dataset='tfrecord',
      data_dir=records,
      workdir=run,
      set=size,
    )
    self.assertEqual(code, 0, stderr)
    self.assertNotEmpty(list(pathlib.Path(run, 'samples').glob('*.png')))

  def test_ablation(self):
    scratch = self.create_tempdir().full_path
    values = dict(
      mode='ablate',
      preset='smoke',
      workdir=scratch,
      rows=['head_no_label'],
      seeds=1,
      # Of 90 held-out clips: a smaller last batch is traced again.
      set=['run.steps=2', 'run.batch_size=9'],
    )
    code, stderr = self._run(**values)
    self.assertEqual(code, 0, stderr)
    report = pathlib.Path(scratch, 'ablation.md').read_text()
    self.assertIn('| our flow: no label | ', report)
    self.assertIn('shapes', report)
    written = pathlib.Path(scratch, 'head_no_label', 'seed_0', 'metrics.json')
    before = written.stat().st_mtime_ns
    self.assertEqual(self._run(**values)[0], 0)
    self.assertEqual(written.stat().st_mtime_ns, before)  # Not trained again.

  def test_report_of_one_folder_and_of_two(self):
    # Commas are between folders, but for one whose name has one.
    scratch = pathlib.Path(self.create_tempdir().full_path)
    for name in ('a', 'b,c'):
      folder = run_folder.RunFolder(scratch / name)
      folder.create()
      folder.claim(presets.PRESETS['smoke'])
      folder.write_labels(['cat'])
    code, stderr = self._run(mode='report', workdir=f'{scratch}/b,c')
    self.assertEqual(code, 0, stderr)
    self.assertTrue((scratch / 'b,c' / 'report.html').exists())
    os.rename(scratch / 'b,c', scratch / 'b')
    code, stderr = self._run(mode='report', workdir=f'{scratch}/a,{scratch}/b')
    self.assertEqual(code, 0, stderr)
    self.assertTrue((scratch / 'comparison.html').exists())

  @parameterized.named_parameters(
    ('init_from', {'mode': 'ablate', 'init_from': 'x'}, '--init_from is for'),
    ('bound', {'importance_samples': 3}, '--importance_samples is for'),
    ('rows', {'mode': 'evaluate', 'rows': ['residual']}, 'mode=ablate'),
    ('config', {'mode': 'sample', 'set': ['run.temperature=0.1']}, 'keeps its'),
    ('data', {'mode': 'sample', 'data_dir': 'x'}, '--data_dir is for'),
    ('output', {'output_dir': 'x'}, '--output_dir is for --mode=prepare'),
    ('output_of_samples', {'output': 'x'}, '--output is for --mode=sample, '),
    ('pack_where', {'mode': 'pack'}, 'needs --output_dir'),
  )
  def test_flags_that_do_not_fit_the_mode_are_refused(self, values, message):
    with self.assertRaisesRegex(app.UsageError, message):
      self._run(**values)

  def test_help_shows_the_flags_without_tensorflow(self):
    root = pathlib.Path(main.__file__).parents[1]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    done = subprocess.run(
      [sys.executable, '-X', 'importtime', '-m', 'train.main', '--help'],
      cwd=root,
      env=environment,
      capture_output=True,
      text=True,
      check=False,
    )
    for name in ('--mode', '--preset', '--workdir', '--set', '--seed'):
      self.assertIn(name, done.stdout)
    self.assertNotIn('tensorflow', done.stderr)

  def test_presets_of_the_flag_are_the_presets(self):
    flag = flags.FLAGS['preset']
    shown = [n for n in presets.PRESETS if n not in older_presets.PRESETS]
    self.assertEqual(flag.parser.enum_values, shown)
    for name in presets.PRESETS:
      self.assertEqual(flag.parser.parse(name), name)
    with self.assertRaisesRegex(ValueError, 'should be one of <demo'):
      flag.parser.parse('cglow_large')

  def test_positional_arguments_are_refused(self):
    with self.assertRaises(app.UsageError):
      main.main(['main', 'train'])


if __name__ == '__main__':
  absltest.main()
