"""The SavedModel for serving."""

import pathlib
import shutil

import tensorflow as tf

from tfp_cglow import likelihood
from tfp_cglow import rollout

__all__ = ['export_model']


def export_model(model, folder, version=1):
  """Writes `folder/<version>`, a SavedModel with 'sample' and 'log_prob'.

  ```none
  sample:    labels int32 [B], seed int32 [B, 2], temperature float [B],
             num_frames int32 [] -> frames uint8 [B, T, H, W, C]
  log_prob:  frames uint8 [B, T, H, W, C], labels int32 [B]
             -> head_bits_per_dim [B], tail_bits_per_dim [B, T - 1]
  ```

  A model without labels takes no `labels`; one without a head has only
  `log_prob`. The same row seed gives the same video whatever the batch.

  Args:
    model: `VideoGlow`.
    folder: Path, TensorFlow Serving's model folder.
    version: Python `int`.

  Returns:
    The path of the version.
  """
  final = pathlib.Path(folder) / str(version)
  temporary = final.with_name(f'.{version}.unfinished')
  shutil.rmtree(temporary, ignore_errors=True)
  signatures = {'log_prob': _log_prob_signature(model)}
  if model.head is not None:
    signatures['sample'] = _sample_signature(model)
    signatures['serving_default'] = signatures['sample']
  module = tf.Module()
  module.model = tf.train.Checkpoint(**model.submodels())
  module.counts = model.label_counts
  tf.saved_model.save(module, str(temporary), signatures=signatures)
  shutil.rmtree(final, ignore_errors=True)
  temporary.rename(final)
  return str(final)


def _labels_spec(model):
  if model.num_labels is None:
    return {}
  return {'labels': tf.TensorSpec([None], tf.int32, 'labels')}


def _sample_signature(model):
  specs = {
    **_labels_spec(model),
    'seed': tf.TensorSpec([None, 2], tf.int32, 'seed'),
    'temperature': tf.TensorSpec([None], tf.float32, 'temperature'),
    'num_frames': tf.TensorSpec([], tf.int32, 'num_frames'),
  }

  @tf.function(autograph=False)
  def sample(seed, temperature, num_frames, labels=None):
    checks = [
      _check(num_frames >= 1, 'num_frames must be >= 1, but got', num_frames),
      _check(
        tf.reduce_all(tf.math.is_finite(temperature) & (temperature >= 0)),
        'temperature must be finite and >= 0, but got',
        temperature,
      ),
    ]
    if model.tail is None:
      checks.append(
        _check(
          num_frames <= 1,
          'this model makes images: num_frames must be 1, not',
          num_frames,
        )
      )
    if labels is not None:
      checks.append(_check_labels(model, labels))
    with tf.control_dependencies(checks):
      seed = tf.identity(seed)
    frames = rollout.rollout(model, labels, None, num_frames, temperature, seed)
    return {'frames': frames}

  return sample.get_concrete_function(**specs)


def _log_prob_signature(model):
  specs = {
    'frames': tf.TensorSpec(
      [None, None, *model.frame_shape], tf.uint8, 'frames'
    ),
    **_labels_spec(model),
  }

  @tf.function(autograph=False)
  def log_prob(frames, labels=None):
    checks = [] if labels is None else [_check_labels(model, labels)]
    with tf.control_dependencies(checks):
      frames = tf.identity(frames)
    bits = {}
    for name, value in zip(('head', 'tail'), model.log_prob(frames, labels)):
      if value is not None:
        bits[f'{name}_bits_per_dim'] = likelihood.bits_per_dim(
          value, model.frame_shape, model.n_bits
        )
    return bits

  return log_prob.get_concrete_function(**specs)


def _check(condition, message, value):
  return tf.debugging.Assert(condition, [message, value])


def _check_labels(model, labels):
  inside = tf.reduce_all((labels >= 0) & (labels < model.num_labels))
  return _check(
    inside, f'labels must be in [0, {model.num_labels}), but got', labels
  )
