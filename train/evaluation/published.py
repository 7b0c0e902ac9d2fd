"""Published bits/dim of other models, printed beside ours."""

from train.config import fields

__all__ = ['NUMBERS', 'numbers_for']

# A run is measured on the same frames if its config has the values of `keys`;
# `note` says what still differs.
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
    'keys': {
      'data': 'tfds',
      'data.dataset': 'bair_robot_pushing_small',
      'data.frame_size': 64,
      'data.channels': 3,
      'model.n_bits': 8,
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
    'keys': {
      'data': 'fashion_mnist',
      'data.frame_size': 28,
      'data.channels': 1,
      'model.n_bits': 8,
    },
  },
)


def numbers_for(config):
  """The `NUMBERS` that were measured on the same frames as a run.

  Args:
    config: `Config`.

  Returns:
    List of `dict`s of title, part, bits_per_dim, source and note, for JSON.
  """
  ours = fields.flat(config)
  return [
    {k: v for k, v in number.items() if k != 'keys'}
    for number in NUMBERS
    if ours.get('model.dequantisation') == 'matched'
    and ours.get(f'model.{number["part"]}') is not None
    and all(ours.get(k) == v for k, v in number['keys'].items())
  ]
