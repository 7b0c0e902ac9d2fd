"""Tests of `export` and of what it writes, as servers read it."""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest.mock

import numpy as np
import tensorflow as tf

# What Python calls too, without its checks: a C++ server's way in.
from tensorflow.python.client import pywrap_tf_session

from train.config import overrides
from train.config import presets
from train.serving import export
from train.serving import sample_export
from train.storage import files
from train.storage import lock
from train.systems.flow import models

# As a server: nothing but TensorFlow can be imported.
_ALONE = """
import sys
for name in ('tensorflow_probability', 'tf_keras', 'tfp_cglow', 'train'):
  sys.modules[name] = None
import numpy as np
import tensorflow as tf
request = dict(np.load(sys.argv[2]))
sample = tf.saved_model.load(sys.argv[1]).signatures['serving_default']
answer = sample(**{k: tf.constant(v) for k, v in request.items()})
np.save(sys.argv[3], answer['frames'])
"""


@contextlib.contextmanager
def _session(path, name, output):
  """Calls a signature as a C++ server does: nothing looks at shapes before."""
  graph = tf.Graph()
  with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
    loaded = tf.compat.v1.saved_model.load(session, ['serve'], str(path))
    signature = loaded.signature_def[name]

    def native(info):
      return graph.get_tensor_by_name(info.name)._as_tf_output()  # pylint: disable=protected-access

    def call(**inputs):
      (value,) = pywrap_tf_session.TF_SessionRun_wrapper(
        session._session,  # pylint: disable=protected-access
        None,
        {native(signature.inputs[k]): v for k, v in inputs.items()},
        [native(signature.outputs[output])],
        [],
        None,
      )
      return value

    yield call


class ExportTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    directory = tempfile.TemporaryDirectory()
    cls.addClassCleanup(directory.cleanup)
    cls.folder = pathlib.Path(directory.name) / 'export'
    config = overrides.override(
      presets.PRESETS['smoke'], ['model.tail.labels=label_priors']
    )
    model = models.build_model(config, 3)
    cls.flow = model.flow
    frames = np.random.RandomState(0).randint(0, 256, [4, 3, 16, 16, 3])
    cls.frames = frames.astype(np.uint8)
    cls.label = np.array([0, 1, 2, 0], np.int32)
    model.adapt(cls.frames, cls.label)
    cls.path = pathlib.Path(
      export.export_model(
        cls.flow,
        cls.folder,
        card={'metrics': {'head_bits_per_dim': 3.25}},
        label_names=['left', 'right', 'a|b'],
        max_frames=6,
      )
    )
    cls.loaded = tf.saved_model.load(str(cls.path))
    cls.signatures = cls.loaded.signatures
    cls.request = {
      'labels': tf.constant([0, 2]),
      'seed': tf.constant([[1, 2], [3, 4]]),
      'temperature': tf.constant([1.0, 0.5]),
      'min_p': tf.constant([0.0, 0.1]),
      'num_frames': tf.constant([4, 4]),
    }

  def setUp(self):
    super().setUp()
    # What is written is tested above; below, when it becomes visible.
    small = {'sample': self.signatures['sample']}
    self._patch(export.frozen, 'frozen', lambda flow: flow)
    self._patch(export.signatures_lib, 'build_signatures', lambda *_: small)

  def _patch(self, *args):
    patch = unittest.mock.patch.object(*args)
    patch.start()
    self.addCleanup(patch.stop)

  def _expected(self):
    drawn = {k: v.numpy() for k, v in self.request.items()}
    return self.flow.sample(**{**drawn, 'num_frames': 4}).numpy()

  def test_layout(self):
    self.assertEqual(self.path, self.folder / '1')
    for name in ('saved_model.pb', 'variables/variables.index'):
      self.assertTrue((self.path / name).exists())
    self.assertEqual(
      (self.path / 'assets' / 'labels.txt').read_text(), 'left\nright\na|b\n'
    )
    card = (self.path / 'model_card.md').read_text()
    for words in ('3.25', 'right', r'a\|b', '`sample`', 'at most 64 rows'):
      self.assertIn(words, card)

  def test_samples_are_the_model_s(self):
    for name in ('sample', 'serving_default'):
      frames = self.signatures[name](**self.request)['frames']
      self.assertAllEqual(frames, self._expected())

  def test_limit_is_the_exporter_s(self):
    with self.assertRaisesRegex(
      tf.errors.InvalidArgumentError, r'\[1, 6\], but got.*7'
    ):
      self.signatures['sample'](
        **{**self.request, 'num_frames': tf.constant([7, 7])}
      )

  def test_runs_on_tensorflow_alone(self):
    with tempfile.TemporaryDirectory() as folder:
      np.savez(
        f'{folder}/in.npz', **{k: v.numpy() for k, v in self.request.items()}
      )
      command = [sys.executable, '-c', _ALONE, str(self.path)]
      done = subprocess.run(
        [*command, f'{folder}/in.npz', f'{folder}/out.npy'],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != 'PYTHONPATH'},
      )
      self.assertEqual(done.returncode, 0, done.stderr[-2000:])
      self.assertAllEqual(np.load(f'{folder}/out.npy'), self._expected())

  def test_server_s_session_refuses_wrong_shapes_with_words(self):
    expected = self.signatures['log_prob'](
      frames=tf.constant(self.frames), labels=tf.constant(self.label)
    )['head_bits_per_dim']
    with _session(self.path, 'log_prob', 'head_bits_per_dim') as call:
      self.assertAllClose(
        call(frames=self.frames, labels=self.label), expected, rtol=1e-5
      )
      for shape in ([4, 3, 32, 32, 3], [4, 3, 16, 16], [4, 3, 16, 16, 1]):
        with self.assertRaisesRegex(
          tf.errors.InvalidArgumentError, r'frames must have the shape.*16, 3\]'
        ):
          call(frames=np.zeros(shape, np.uint8), labels=self.label)

  def test_sample_export_reads_the_labels(self):
    videos = sample_export.sample(str(self.path), 4, 2)
    self.assertEqual(videos.shape, (4, 2, 16, 16, 3))

  def test_versions_count_up(self):
    with tempfile.TemporaryDirectory() as folder:
      for given, expected in ((None, '1'), (7, '7'), (None, '8')):
        path = export.export_model(self.flow, folder, given)
        self.assertEqual(path, f'{folder}/{expected}')
        self.assertEqual(export.newest_version(folder), int(expected))
      before = pathlib.Path(path, 'saved_model.pb').read_bytes()
      with self.assertRaisesRegex(
        files.RunFolderError, 'Version 8 exists in .* such as 9'
      ):
        export.export_model(self.flow, folder, 8)
      self.assertEqual(
        pathlib.Path(path, 'saved_model.pb').read_bytes(), before
      )

  def test_nothing_is_left_of_a_failed_export(self):
    with tempfile.TemporaryDirectory() as folder:
      (pathlib.Path(folder) / '.unfinished' / 'of_one_killed').mkdir(
        parents=True
      )
      with (
        unittest.mock.patch.object(
          export.warmup, 'write_warmup', side_effect=OSError(28, 'No space')
        ),
        self.assertRaisesRegex(files.RunFolderError, 'disk is full'),
      ):
        export.export_model(self.flow, folder)
      self.assertEqual(os.listdir(folder), ['.lock'])
      path = export.export_model(self.flow, folder)
      self.assertSameElements(os.listdir(folder), ['.lock', '1'])
      self.assertFalse(os.path.exists(f'{path}/of_one_killed'))

  def test_version_appears_whole(self):
    seen = []
    replace = os.replace

    def spy(path, target):
      if str(target) == os.path.join(folder, '1'):
        seen.append((os.listdir(path), os.listdir(folder)))
      return replace(path, target)

    with tempfile.TemporaryDirectory() as folder:
      with unittest.mock.patch.object(os, 'replace', spy):
        path = export.export_model(self.flow, folder)
      ((inside, beside),) = seen
      self.assertSameElements(inside, os.listdir(path))
      self.assertIn('model_card.md', inside)
      self.assertNotIn('1', beside)

  def test_one_export_at_a_time(self):
    with (
      tempfile.TemporaryDirectory() as folder,
      lock.RunLock(folder),
      self.assertRaisesRegex(files.RunFolderError, 'in use by process'),
    ):
      export.export_model(self.flow, folder)

  def test_bad_arguments(self):
    for keywords, words in (
      ({'version': 0}, '`version` must be at least 1, but got 0'),
      ({'label_names': ['a', 'b']}, 'Expected 3 label names, but got 2'),
      ({'label_names': ['a', 'b\nc', 'd']}, 'control character'),
    ):
      with self.assertRaisesRegex(ValueError, words):
        export.export_model(self.flow, self.folder, **keywords)
    with self.assertRaisesRegex(files.RunFolderError, 'is of gs'):
      export.export_model(self.flow, 'gs://bucket/export')


if __name__ == '__main__':
  tf.test.main()
