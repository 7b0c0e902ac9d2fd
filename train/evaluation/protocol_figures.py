"""Published figures on the sets of `protocols`.

None of the papers' tables was at hand when this was written: the figures are as
others cite them, and 'is_seen' says so of each.
"""

__all__ = ['FIGURES', 'KEYS']

# A run's frames are those of the literature if its config has these values.
KEYS = {
  'balls': {
    'data.num_frames': 100,
    'data.frame_size': 30,
    'data.channels': 1,
    'data.overfit_clips': 0,
    'model.n_bits': 8,
    'model.dequantisation': 'matched',
  },
  'movement': {
    'data.num_frames': 5,
    'data.frame_size': 64,
    'data.channels': 3,
    'data.overfit_clips': 0,
    'model.n_bits': 8,
    'model.dequantisation': 'matched',
  },
  'moving_mnist': {
    'data.num_frames': 20,
    'data.frame_size': 64,
    'data.channels': 1,
    'data.overfit_clips': 0,
    'model.n_bits': 1,
    'model.dequantisation': 'drawn',
  },
}


def _figure(title, value, source, note, is_bound=False):
  return {
    'title': title,
    'value': value,
    'source': source,
    'note': note,
    'is_bound': is_bound,
    'is_seen': False,
  }


_SUTSKEVER = 'Sutskever et al., NIPS 2008; the figure is by Mittelman et al.'
_GAN = 'Gan et al., Deep Temporal Sigmoid Belief Networks, NIPS 2015'
_OTHER_VIDEOS = 'other videos of the same rules'
_ITS_OWN_PAST = (
  'it predicts ten frames from ten, without the true ones in between'
)
_VPN = 'Kalchbrenner et al., Video Pixel Networks, ICML 2017'
_OTHER_DIGITS = 'other digits, so another bound'

FIGURES = {
  'balls': (
    _figure('RTRBM', 3.88, _SUTSKEVER, _OTHER_VIDEOS),
    _figure(
      'SRTRBM',
      3.31,
      'Mittelman et al., Structured Recurrent Temporal RBMs, ICML 2014',
      _OTHER_VIDEOS,
    ),
    _figure('DTSBN', 2.79, _GAN, _OTHER_VIDEOS),
    _figure(
      'PGN',
      0.65,
      'Lotter et al., Unsupervised Learning of Visual Structure using '
      'Predictive Generative Networks, 2015',
      _OTHER_VIDEOS + '; trained on the error itself',
    ),
  ),
  'movement': (
    _figure(
      'VideoFlow',
      0.04,
      'Kumar et al., VideoFlow, ICLR 2020',
      'other videos of the same rules, drawn by a plotting library; its bits '
      'are taken to be of a pixel and channel',
    ),
  ),
  'moving_mnist': (
    _figure(
      'ConvLSTM',
      367.2,
      'Shi et al., Convolutional LSTM Network, NIPS 2015; as in ' + _VPN,
      f'{_OTHER_DIGITS}; {_ITS_OWN_PAST}',
    ),
    _figure(
      'DFN',
      285.2,
      'De Brabandere et al., Dynamic Filter Networks, NIPS 2016',
      f'{_OTHER_DIGITS}; {_ITS_OWN_PAST}',
    ),
    _figure('VPN baseline', 110.1, _VPN, _OTHER_DIGITS),
    _figure('VPN', 87.6, _VPN, _OTHER_DIGITS),
    _figure(
      'lower bound of the original set',
      86.3,
      _VPN,
      _OTHER_DIGITS,
      is_bound=True,
    ),
  ),
}
