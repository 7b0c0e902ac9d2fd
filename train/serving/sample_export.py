"""Samples from an exported SavedModel.

  python -m train.serving.sample_export DIR

The videos are made by TensorFlow alone, without this library, as in a server.
"""

import pathlib

from absl import app
from absl import flags

from train import quiet_start

quiet_start.import_tensorflow()
import tensorflow as tf  # noqa: E402

from tfp_cglow.internal import plain_paths  # noqa: E402
from train import failures  # noqa: E402
from train.samples import sample_files  # noqa: E402
from train.storage import label_names  # noqa: E402

_NUM_VIDEOS = flags.DEFINE_integer(
  'videos', 4, 'Number of videos to sample.', lower_bound=1
)
_NUM_FRAMES = flags.DEFINE_integer(
  'frames', 8, 'Number of frames of each.', lower_bound=1
)
_STEM = flags.DEFINE_string(
  'stem', '', 'Path of a GIF, an MP4 and a PNG strip, without the ending.'
)


def sample(path, num_videos, num_frames):
  """Calls the signature 'sample' with labels 0, 1, ...

  Args:
    path: Folder of a SavedModel.
    num_videos: Python `int`.
    num_frames: Python `int`.

  Returns:
    uint8 `[num_videos, num_frames, H, W, C]`.

  Raises:
    Failure: if the model has no such signature, or refuses the request.
  """
  signatures = tf.saved_model.load(plain_paths.plain(path)).signatures
  if 'sample' not in signatures:
    raise failures.Failure(
      f"Expected a signature 'sample', but {path} has {sorted(signatures)}."
    )
  signature = signatures['sample']
  inputs = {
    'seed': tf.stack(
      [tf.zeros([num_videos], tf.int32), tf.range(num_videos)], 1
    ),
    'temperature': tf.fill([num_videos], 1.0),
    'min_p': tf.fill([num_videos], 0.02),  # As the presets' samples.
    'num_frames': tf.fill([num_videos], num_frames),
  }
  if 'labels' in signature.structured_input_signature[1]:
    file = pathlib.Path(path, 'assets', 'labels.txt')
    names = label_names.from_bytes(file.read_bytes(), file)
    inputs['labels'] = tf.range(num_videos) % len(names)
  try:
    return signature(**inputs)['frames'].numpy()
  except tf.errors.InvalidArgumentError as e:
    raise failures.Failure(f'The model refuses: {e.message}') from e


def main(argv):
  if len(argv) != 2:
    raise app.UsageError('Expected one argument, the folder of a SavedModel.')
  return failures.exit_code(lambda: _write_samples(argv[1]))


def _write_samples(path):
  videos = sample(path, _NUM_VIDEOS.value, _NUM_FRAMES.value)
  print(f'Sampled {videos.dtype} {list(videos.shape)} from {path}')
  if _STEM.value:
    for path in sample_files.save_videos(_STEM.value, videos):
      print(path)


if __name__ == '__main__':
  app.run(main)
