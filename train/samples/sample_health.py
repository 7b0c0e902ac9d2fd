"""Whether sampled videos have collapsed: grey, saturated or all the same.

The same measure is used for flows and GANs; its thresholds were fixed before
any model was measured. It does not measure the quality of videos.
"""

import itertools

import numpy as np

from train.samples import continuations

__all__ = ['MAX_SATURATION', 'measure']

DEVIATION_RANGE = (0.7, 1.3)  # Relative to the data.
MAX_SATURATION = 0.2  # Fraction of all values.
LEAST_DIVERSITY = 0.5  # Relative to the data.


def measure(model, frames, label, samples_per_label=8, temperature=1.0, seed=0):
  """Compares videos that a model draws with real ones.

  Args:
    model: `VideoFlow` with a head, or `VideoGan`.
    frames: uint8 `[B, T, H, W, C]`, real clips; labels with fewer than two
      clips are left out.
    label: int `[B]`; not used by a model without labels, for which all clips
      have the same label.
    samples_per_label: Python `int`, number of videos drawn for each label.
    temperature: Float, temperature of the latent noise.
    seed: Python `int`.

  Returns:
    `dict` of floats. For generated and real clips: `..._mean` and
    `..._deviation` of a frame's values in levels of 255, averaged over frames;
    `..._saturation`, the fraction of values in the lowest or the highest of the
    model's levels; `..._diversity`, the root-mean-square distance of two clips
    of one label, averaged over pairs and labels. `deviation_ratio` and
    `diversity_ratio`: generated divided by real. `is_healthy`: whether the
    deviation is within 30% of the data's, the saturation under 20%, and the
    diversity at least half the data's.

  Raises:
    ValueError: if no label has two clips.
  """
  has_labels = model.num_labels is not None
  label = np.asarray(label) if has_labels else np.zeros(len(frames), int)
  names, counts = np.unique(label, return_counts=True)
  names = names[counts > 1]
  if not len(names):
    raise ValueError('Expected a label with two clips or more, but got none.')
  is_compared = np.isin(label, names)
  frames, label = frames[is_compared], label[is_compared]
  drawn = np.repeat(names, samples_per_label)
  generated = model.sample(
    labels=drawn if has_labels else None,
    num_videos=None if has_labels else len(drawn),
    num_frames=frames.shape[1],
    temperature=temperature,
    seed=seed,
  ).numpy()
  real = continuations.as_context(model, frames)
  result = {
    **_statistics('generated', generated, drawn, model.n_bits),
    **_statistics('real', real, label, model.n_bits),
  }
  for name in ('deviation', 'diversity'):
    ratio = result[f'generated_{name}'] / max(result[f'real_{name}'], 1e-9)
    result[f'{name}_ratio'] = ratio
  result['is_healthy'] = bool(
    DEVIATION_RANGE[0] <= result['deviation_ratio'] <= DEVIATION_RANGE[1]
    and result['generated_saturation'] < MAX_SATURATION
    and result['diversity_ratio'] >= LEAST_DIVERSITY
  )
  return result


def _statistics(name, clips, label, n_bits):
  by_time = continuations.frame_statistics(clips)
  levels = clips >> (8 - n_bits)
  is_extreme = (levels == 0) | (levels == 2**n_bits - 1)
  return {
    f'{name}_mean': float(np.mean(by_time['means'])),
    f'{name}_deviation': float(np.mean(by_time['deviations'])),
    f'{name}_saturation': float(is_extreme.mean()),
    f'{name}_diversity': _diversity(clips, label),
  }


def _diversity(clips, label):
  """Mean distance of two clips of one label, in levels of 255."""
  of_labels = []
  for name in np.unique(label):
    own = clips[label == name].astype(np.float32)
    distances = [
      np.sqrt(np.mean((a - b) ** 2)) for a, b in itertools.combinations(own, 2)
    ]
    of_labels.append(np.mean(distances))
  return float(np.mean(of_labels))
