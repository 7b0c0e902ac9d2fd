"""Tests of what is judged of a run, and by whom."""

import json
import types
import unittest.mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train.config import overrides
from train.config import presets
from train.data.sets import moving_shapes
from train.evaluation.judges import choice
from train.evaluation.judges import classifier
from train.evaluation.judges import judging
from train.evaluation.judges import shapes
from train.samples import continuations

_NAMES = tuple(moving_shapes.label_names('shapes'))


def _config(*assignments):
  return overrides.override(presets.PRESETS['smoke'], list(assignments))


def _real(labels, num_frames, n_bits=5):
  videos = np.stack(
    [
      moving_shapes.render('shapes', _NAMES[y], num_frames, 16, [n, y])
      for n, y in enumerate(labels)
    ]
  )
  step = 2 ** (8 - n_bits)
  return (videos // step * step + step // 2).astype(np.uint8)


class _Inputs:
  label_names = _NAMES

  def valid_dataset(self):
    labels = np.arange(12, dtype=np.int32)
    clips = _real(labels, 4, n_bits=8), labels
    return tf.data.Dataset.from_tensor_slices(clips).batch(5)


class _Perfect:
  """A model that renders."""

  num_labels = 12
  n_bits = 5
  dequantisation = 'matched'

  def sample(self, labels, num_videos, num_frames, temperature, min_p, seed):
    self.called_with = (num_videos, temperature, seed)
    return tf.constant(_real(labels, num_frames))


class JudgingTest(tf.test.TestCase, parameterized.TestCase):
  def test_a_perfect_model(self):
    model, config = _Perfect(), _config('run.temperature=0.9', 'seed=3')
    label = np.arange(12)
    still = np.repeat(_real(label, 1), 10, axis=1)
    still[:, :4] = _real(label, 4)
    continued = continuations.Continued(still, label, num_given=2)
    with unittest.mock.patch.object(continuations, 'as_context') as context:
      context.side_effect = lambda _, frames: np.asarray(frames)
      metrics = judging.judge_run(model, config, _Inputs(), 9, continued)
    self.assertEqual(json.loads(json.dumps(metrics)), metrics)
    judged = metrics['judge']
    self.assertEqual(model.called_with, (None, 0.9, 3))
    self.assertEqual(judged['name'], 'shapes')
    self.assertEqual(judged['sampling']['temperature'], 0.9)
    self.assertEqual(judged['generated']['num_videos'], 48)
    self.assertEqual(
      judged['generated']['videos_right_through'],
      {h: {'rate': 1.0, 'judged': 48} for h in ('8', '9')},
    )
    self.assertEqual(judged['real']['frames']['right']['judged'], 48)
    self.assertEqual(judged['real']['frames']['right']['rate'], 1.0)
    self.assertEqual(judged['continued']['num_given'], 2)
    through = judged['continued']['videos_right_through']
    self.assertEqual(through['8']['rate'], 0.0)

  def test_nothing_is_drawn_that_is_not_asked_for(self):
    model = _Perfect()
    with unittest.mock.patch.object(continuations, 'as_context') as context:
      context.side_effect = lambda _, frames: np.asarray(frames)
      metrics = judging.judge_run(model, _config(), _Inputs())
    self.assertIsNone(metrics['judge']['generated'])
    self.assertIsNone(metrics['judge']['continued'])

  def test_no_judge(self):
    config = _config('data.variant=blink')
    self.assertEqual(judging.judge_run(None, config, _Inputs(), 4), {})

  def test_labels_to_draw(self):
    for num_labels, each in ((1, 8), (4, 8), (12, 4), (48, 1)):
      labels = judging.labels_to_draw(num_labels)
      np.testing.assert_array_equal(
        np.bincount(labels), np.full([num_labels], each)
      )
    labels = judging.labels_to_draw(100)
    self.assertLen(set(labels), 48)
    self.assertEqual((labels[0], labels[-1]), (0, 99))
    self.assertIsNone(judging.labels_to_draw(None))


class ChoiceTest(parameterized.TestCase):
  def _judge_of(self, *assignments, num_labels=12):
    inputs = types.SimpleNamespace(
      label_names=_NAMES[:num_labels],
      train_dataset=lambda step: tf.data.Dataset.from_tensor_slices(
        (
          np.zeros([8, 2, 8, 8, 3], np.uint8),
          np.arange(8, dtype=np.int32) % num_labels,
        )
      ).batch(4),
    )
    model = types.SimpleNamespace(n_bits=5, dequantisation='matched')
    return choice.judge_of(_config(*assignments), inputs, model)

  def test_shapes(self):
    self.assertIsInstance(self._judge_of(), shapes.ShapesJudge)

  @parameterized.parameters(
    'data.variant=occluder',
    'data.variant=blink',
    'data.channels=1',
    'data.frame_size=8',
    'model.n_bits=3',
    'data=natvid data.overfit_clips=1',
    'data=natvid data.left_out=bunny',
    'data=orl_faces',
  )
  def test_no_judge(self, assignments):
    self.assertIsNone(self._judge_of(*assignments.split()))

  def test_one_label_needs_no_classifier(self):
    self.assertIsNone(self._judge_of('data=natvid', num_labels=1))

  def test_classifier(self):
    with unittest.mock.patch.object(choice, '_STEPS', 1):
      judge = self._judge_of('data=natvid', num_labels=4)
    self.assertIsInstance(judge, classifier.ClassifierJudge)


if __name__ == '__main__':
  tf.test.main()
