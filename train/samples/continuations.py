"""Quality, diversity and drift of continuations of held-out clips.

Generated frames lie at the centres of the model's bins. They are compared with
real frames that are quantised in the same way, so that quantisation does not
count as an error. A model with 'legacy' dequantisation keeps 8 bits; its real
frames do, too.
"""

import dataclasses
import functools
import itertools

import numpy as np
import tensorflow as tf

from tfp_cglow.internal import any_rows
from tfp_cglow.video import likelihood
from tfp_cglow.video import video_targets
from train.samples import sample_files

__all__ = [
  'Continued',
  'as_context',
  'continue_clips',
  'densities_and_samples',
  'diversity',
  'drift',
  'even_clips',
  'frame_statistics',
  'is_exact',
  'quality',
  'summary',
]

# Pixels (Wang et al., 2004); the frame's size if that is smaller.
_MAX_SSIM_FILTER = 11
_STATISTICS = ('means', 'deviations', 'gradient_energies')


@dataclasses.dataclass(frozen=True)
class Continued:
  """Continuations that were drawn for the drift, for others to look at.

  Attributes:
    videos: uint8 `[B, T, H, W, C]`, the given frames first.
    label: int `[B]`.
    num_given: Python `int`.
  """

  videos: np.ndarray
  label: np.ndarray
  num_given: int


def summary(
  model,
  dataset,
  num_samples=10,
  max_clips=64,
  num_given=1,
  drift_factor=4,
  seed=0,
  **sampling,
):
  """The numbers of metrics.json on continuations from the first frames.

  Args:
    model: `VideoFlow` with a tail, or `VideoGan`.
    dataset: Finite `tf.data.Dataset` of `(frames, label)` batches, frames uint8
      `[B, T, H, W, C]`, T > 1; the same at each reading.
    num_samples: Python `int` N, number of continuations of each clip.
    max_clips: Python `int`, number of clips, chosen evenly, that are continued.
    num_given: Python `int` below T, number of given frames.
    drift_factor: Python `int`; drift is measured over `drift_factor * T`
      frames, on one sample of each clip.
    seed: Python `int`.
    **sampling: See `continue_clips`.

  Returns:
    metrics: `dict` for JSON: the result of `quality`; `diversity`; `drift`; and
      continuation_num_clips, ..._num_samples, ..._num_given, and the values of
      `sampling` as continuation_temperature and so on.
    continued: `Continued`, the longest continuations.
  """
  frames, label = even_clips(dataset, max_clips)
  kwargs = {'num_given': num_given, 'seed': seed, **sampling}
  sampled = continue_clips(model, frames, label, num_samples, **kwargs)
  (long,) = continue_clips(
    model, frames, label, 1, num_frames=drift_factor * frames.shape[1], **kwargs
  )
  real = as_context(model, frames)
  metrics = {
    **quality(real, sampled, num_given),
    'diversity': diversity(sampled, num_given),
    'drift': drift(real, long, num_given),
    'continuation_num_clips': len(frames),
    'continuation_num_given': num_given,
    'continuation_num_samples': num_samples,
    **{f'continuation_{k}': float(v) for k, v in sampling.items()},
  }
  return metrics, Continued(long, label, num_given)


def even_clips(dataset, num_clips):
  """Chooses clips evenly from a data set, to include many labels.

  The data set is read twice; only the chosen clips are kept in memory.

  Args:
    dataset: Finite `tf.data.Dataset` of `(frames, label)` batches.
    num_clips: Python `int`, number of clips at most.

  Returns:
    frames: uint8 `[N, T, H, W, C]`.
    label: int `[N]`.
  """
  total = sum(len(label) for _, label in dataset)
  chosen = np.linspace(0, total - 1, min(num_clips, total)).round()
  parts, start = [], 0
  for frames, label in dataset:
    rows = np.isin(np.arange(start, start + len(label)), chosen)
    parts.append((frames.numpy()[rows], label.numpy()[rows]))
    start += len(label)
  frames, label = map(np.concatenate, zip(*parts))
  return frames, label


def continue_clips(
  model,
  frames,
  label,
  num_samples,
  num_given=1,
  num_frames=None,
  seed=0,
  **sampling,
):
  """Samples continuations of clips from their first frames.

  The noise of frame t of sample n of clip b depends on (seed, n, b, t) only,
  not on the numbers of samples, clips or frames.

  Args:
    model: `VideoFlow` with a tail, or `VideoGan`.
    frames: uint8 `[B, T, H, W, C]`, real clips.
    label: int `[B]`; not used by a model without labels.
    num_samples: Python `int` N.
    num_given: Python `int`, number of given frames.
    num_frames: Python `int`, length of the results, including the given frames;
      None: T.
    seed: Python `int`.
    **sampling: Further arguments of the model's `sample`: `temperature`, and
      for a flow `min_p`.

  Returns:
    uint8 `[N, B, num_frames, H, W, C]`, the given frames first.
  """
  frames = np.asarray(frames)
  seeds = [
    likelihood.fold_in(likelihood.as_seed(seed), n) for n in range(num_samples)
  ]
  return np.stack(
    [
      model.sample(
        labels=None if model.num_labels is None else label,
        num_frames=frames.shape[1] if num_frames is None else num_frames,
        first_frames=frames[:, :num_given],
        **sampling,
        seed=s,  # [2]; `sample` folds in the row.
      ).numpy()
      for s in seeds
    ]
  )


def as_context(model, frames):
  """Quantises frames as the model sees and generates them, uint8 `[...]`."""
  return likelihood.to_uint8(video_targets.clean_given(model, frames)).numpy()


def quality(real, sampled, num_given=1):
  """PSNR and SSIM of continuations against real frames.

  The best sample of a clip is the one with the highest mean of the metric over
  time, as in VideoFlow (Kumar et al., 2019) and SVG. PSNR and SSIM each choose
  their own.

  Args:
    real: uint8 `[B, T, H, W, C]`, from `as_context`.
    sampled: uint8 `[N, B, T, H, W, C]`.
    num_given: Python `int`, number of the T frames that were given.

  Returns:
    `dict` of lists of T - num_given floats, means over clips by horizon:
    continuation_psnr_mean_of_samples (of the mean frame over samples),
    continuation_psnr_best_of_samples and copy_psnr (of the last given frame,
    repeated), in dB, and the same for ssim.

  Raises:
    ValueError: if the shapes differ or no frame is left to compare.
  """
  real, sampled = np.asarray(real), np.asarray(sampled)
  if sampled.shape[1:] != real.shape or real.shape[1] <= num_given:
    raise ValueError(
      f'Expected samples [N, B, T, H, W, C] for clips {real.shape} and more '
      f'frames than the {num_given} given, but got {sampled.shape}.'
    )
  given, target = real[:, num_given - 1 : num_given], real[:, num_given:]
  sampled = sampled[:, :, num_given:]
  result = {}
  for name, metric in (('psnr', sample_files.psnr), ('ssim', _ssim)):
    of_samples = np.stack([metric(target, s) for s in sampled])
    values = {
      f'continuation_{name}_mean_of_samples': metric(target, sampled.mean(0)),
      f'continuation_{name}_best_of_samples': _best(of_samples),
      f'copy_{name}': metric(target, np.broadcast_to(given, target.shape)),
    }
    result.update({k: v.mean(axis=0).tolist() for k, v in values.items()})
  return result


def _best(values):
  """Chooses each clip's best sample: from values `[N, B, T]` to `[B, T]`."""
  best = values.mean(axis=-1).argmax(axis=0)
  return values[best, np.arange(len(best))]


def _ssim(real, generated):
  """SSIM of frames `[..., H, W, C]`, 0..255: `[...]`."""
  return tf.image.ssim(
    tf.cast(real, tf.float32),
    tf.cast(generated, tf.float32),
    max_val=255.0,
    filter_size=min(_MAX_SSIM_FILTER, *real.shape[-3:-1]),
  ).numpy()


def diversity(sampled, num_given=1):
  """The distance of samples of the same clip.

  Args:
    sampled: uint8 `[N, B, T, H, W, C]`.
    num_given: Python `int`, number of the T frames that were given.

  Returns:
    List of T - num_given floats by horizon: the root-mean-square distance of
    two samples' frames, in levels of 255, averaged over pairs and clips. None
    if there is one sample.
  """
  pairs = itertools.combinations(np.asarray(sampled)[:, :, num_given:], 2)
  distances = [_distance(a, b).mean(axis=0) for a, b in pairs]
  return np.mean(distances, axis=0).tolist() if distances else None


def _distance(a, b):
  """Root-mean-square distance of frames `[..., H, W, C]`: `[...]`."""
  squares = (a.astype(np.float32) - b) ** 2
  return np.sqrt(squares.mean(axis=(-3, -2, -1), dtype=np.float64))


def drift(real, generated, num_given=1):
  """Whether generated frames keep the statistics of real ones.

  Args:
    real: uint8 `[B, T, H, W, C]`, quantised like the generated frames.
    generated: uint8 `[B', T', H, W, C]`, of any length.
    num_given: Python `int`, number of the T' frames that were given.

  Returns:
    `dict`: means, deviations and gradient_energies of the generated frames by
    horizon (see `frame_statistics`); `data`, the same statistics of the real
    frames, averaged over time; and `ratios`, generated divided by data, by
    horizon, None if the data's statistic is 0.
  """
  of_real = frame_statistics(real)
  of_generated = frame_statistics(np.asarray(generated)[:, num_given:])
  data = {k: float(np.mean(v)) for k, v in of_real.items()}
  ratios = {
    k: [v / data[k] for v in values] if data[k] else None
    for k, values in of_generated.items()
  }
  return {**of_generated, 'data': data, 'ratios': ratios}


def frame_statistics(frames):
  """Statistics of frames by time, averaged over clips.

  Args:
    frames: uint8 `[B, T, H, W, C]`.

  Returns:
    `dict` of lists of T floats: `means`; `deviations`, the standard deviation
    over a frame's pixels and channels (both in levels, 0..255); and
    `gradient_energies`, the mean squared difference of horizontal neighbours
    plus that of vertical neighbours (in squared levels).
  """
  by_time = np.moveaxis(np.asarray(frames), 1, 0)
  rows = [_statistics(f.astype(np.float64)) for f in by_time]
  return {k: [row[i] for row in rows] for i, k in enumerate(_STATISTICS)}


def _statistics(frame):
  """The `_STATISTICS` of frames `[B, H, W, C]` at one time."""
  horizontal = np.mean(np.diff(frame, axis=2) ** 2)
  vertical = np.mean(np.diff(frame, axis=1) ** 2)
  deviation = frame.std(axis=(1, 2, 3)).mean()
  return float(frame.mean()), float(deviation), float(horizontal + vertical)


def is_exact(compute):
  """Whether a function returns the same bits when it is called again.

  Args:
    compute: Function without arguments that returns a list of tensors.
  """
  first, second = ([v.numpy().tobytes() for v in compute()] for _ in range(2))
  return first == second


def densities_and_samples(model, frames, label):
  """A function for `is_exact`: a flow's `log_prob` and `sample` with one seed.

  Args:
    model: `VideoFlow`.
    frames: uint8 `[B, T, H, W, C]`.
    label: int `[B]`; not used by a model without labels.

  Returns:
    Function without arguments that returns a list of tensors.
  """
  label = None if model.num_labels is None else label
  log_prob = any_rows.AnyRows(model.log_prob)
  return functools.partial(_numbers, model, log_prob, np.asarray(frames), label)


def _numbers(model, log_prob, frames, label):
  has_head = model.head is not None
  sampled = model.sample(
    labels=label,
    num_frames=1 if model.tail is None else frames.shape[1],
    first_frames=None if has_head else frames[:, :1],
    num_videos=len(frames) if label is None else None,
    seed=0,
  )
  values = [*log_prob(frames, label, seed=tf.constant([0, 0])), sampled]
  return [v for v in values if v is not None]
