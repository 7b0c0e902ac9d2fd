"""Published bits/dim of other models, to be printed beside ours."""

__all__ = ['NUMBERS', 'numbers_for']

# `data` are the fields of `Config` that a run must share for its bits/dim to be
# of the same frames; what differs still is in `note`.
NUMBERS = (
  {
    'title': 'published: VideoFlow',
    'part': 'tail',
    'bits_per_dim': 1.87,
    'source': (
      'Kumar et al., VideoFlow: A Conditional Flow-Based Model for Stochastic '
      'Video Generation, ICLR 2020'
    ),
    'note': 'ten frames after three given ones',
    'data': {
      'dataset': 'tfds:bair_robot_pushing_small',
      'frame_size': 64,
      'channels': 3,
      'n_bits': 8,
    },
  },
  {
    'title': 'published: Glow',
    'part': 'head',
    'bits_per_dim': 2.95,
    'source': (
      "Nalisnick et al., Do Deep Generative Models Know What They Don't Know?, "
      'ICLR 2019'
    ),
    'note': 'perhaps of images padded to 32x32',
    'data': {
      'dataset': 'fashion_mnist',
      'frame_size': 28,
      'channels': 1,
      'n_bits': 8,
    },
  },
)


def numbers_for(config):
  """Those of `NUMBERS` that are of the frames of a run.

  Args:
    config: `Config`.

  Returns:
    List of `dict`s of title, part, bits_per_dim, source and note, for JSON.
  """
  return [
    {k: v for k, v in number.items() if k != 'data'}
    for number in NUMBERS
    if config.dequantisation != 'legacy'
    and config.model in ('video', number['part'])
    and all(getattr(config, k) == v for k, v in number['data'].items())
  ]
