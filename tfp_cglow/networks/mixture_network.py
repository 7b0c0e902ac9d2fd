"""The network that gives `ContextMixture` its parameters."""

import numpy as np
import tensorflow as tf

from tfp_cglow.networks import convolutional

__all__ = ['MixtureNetwork', 'build_mixture_network']


class MixtureNetwork(tf.Module):
  """Gated residual blocks, then a small head for each channel.

  ```none
  h = conv3x3(inputs)
  block by block:
    h += s(relu(h))
    h += u * sigmoid(v),  [u, v] = f(relu(h))
  raw_c = conv1x1(relu(conv1x1([relu(h), known channels])))
  places = conv1x1(relu(h)),  optional
  ```

  f is a conv3x3, a ReLU and a conv1x1. s is zero; with strip pooling [1] it is
  the sum of a conv1x1 of the means over rows and a conv1x1 of the means over
  columns. Strip pooling connects opposite sides of the frame: an object that
  leaves on one side may enter on the other. Head c sees the channels before c.
  So channels are conditioned on each other, and the blocks run once.

  #### References

  [1]: Qibin Hou, Li Zhang, Ming-Ming Cheng and Jiashi Feng. Strip Pooling:
       Rethinking Spatial Pooling for Scene Parsing. _CVPR_, 2020.
  """

  def __init__(
    self,
    params,
    network_dtype=None,
    padding='zeros',
    name='mixture_network',
  ):
    """Creates the network.

    Args:
      params: `dict` of layers. A layer is a `dict` of 'kernel' and 'bias'.
        'first': a layer. 'blocks': a list of pairs of layers. 'strips', only
        with strip pooling: a list of pairs of layers, one pair for each block.
        'heads': a list of pairs of layers. 'places', only if values come from
        places: a layer.
      network_dtype: `tf.DType` of the computation; None: the input's dtype.
      padding: 'zeros' or 'wrap', see `convolutional`.
      name: Python `str`.
    """
    super().__init__(name=name)
    self.params = params
    self._network_dtype = network_dtype
    self._padding = padding

  def features(self, inputs):
    """The features that all heads share.

    Args:
      inputs: `[..., H, W, D]`.

    Returns:
      `[..., H, W, F]`.
    """
    h = self._conv(self.params['first'], inputs)
    for i, (first, second) in enumerate(self.params['blocks']):
      if 'strips' in self.params:
        h += self._strips(self.params['strips'][i], tf.nn.relu(h))
      update = self._conv(first, tf.nn.relu(h))
      update, gate = tf.split(
        self._conv(second, tf.nn.relu(update)), 2, axis=-1
      )
      h += update * tf.sigmoid(gate)
    return tf.nn.relu(h)

  def head(self, channel, features, known):
    """Raw parameters of one channel.

    Args:
      channel: Python `int` c.
      features: `[..., H, W, F]`.
      known: List of maps `[..., H, W, K]`, one for each channel before c.

    Returns:
      Raw parameters `[..., H, W, P]`.
    """
    first, second = self.params['heads'][channel]
    h = self._conv(first, tf.concat([features, *known], axis=-1))
    return self._conv(second, tf.nn.relu(h))

  def places(self, features):
    """Logits `[..., H, W, n]` of the n places that a pixel may come from."""
    return self._conv(self.params['places'], features)

  def _strips(self, layers, x):
    of_rows, of_columns = layers
    rows = self._conv(of_rows, tf.reduce_mean(x, -2, keepdims=True))
    return rows + self._conv(of_columns, tf.reduce_mean(x, -3, keepdims=True))

  def _conv(self, layer, x):
    dtype = self._network_dtype or x.dtype
    kernel, bias = (tf.cast(layer[k], dtype) for k in ('kernel', 'bias'))
    y = convolutional.conv2d(
      tf.cast(x, dtype), kernel, bias, padding=self._padding
    )
    return tf.cast(y, x.dtype)


def build_mixture_network(
  in_channels,
  channels,
  known_channels,
  num_parameters,
  hidden_channels,
  num_blocks,
  strip_pooling=False,
  num_places=1,
  seed=None,
  network_dtype=None,
  padding='zeros',
  dtype=tf.float32,
):
  """Creates a `MixtureNetwork` whose raw parameters start at zero.

  Args:
    in_channels: Python `int` D, channels of the input of `features`.
    channels: Python `int` C, number of heads.
    known_channels: Python `int` K, channels of the map of each known channel.
    num_parameters: Python `int` P, raw parameters of each channel.
    hidden_channels: Python `int` F.
    num_blocks: Python `int`, number of gated residual blocks.
    strip_pooling: Python `bool`: whether blocks begin with strip pooling, see
      `MixtureNetwork`.
    num_places: Python `int` n, number of the logits of `places`; 1: the network
      has no `places`.
    seed: Python `int`; None: from the operating system.
    network_dtype: `tf.DType` of the computation; None: the input's dtype.
    padding: 'zeros' or 'wrap', see `convolutional`.
    dtype: `tf.DType` of the variables.

  Returns:
    A `MixtureNetwork`.
  """
  rng = np.random.default_rng(seed)
  hidden = hidden_channels

  def layer(size, num_in, num_out, is_zero=False):
    kernel = convolutional.he_normal(rng, size, size, num_in, num_out)
    return convolutional.to_variables(
      {'kernel': kernel * (not is_zero), 'bias': np.zeros([num_out])}, dtype
    )

  params = {}
  if strip_pooling:
    params['strips'] = [
      [layer(1, hidden, hidden, is_zero=True) for _ in range(2)]
      for _ in range(num_blocks)
    ]
  params |= {
    'first': layer(3, in_channels, hidden),
    'blocks': [
      [layer(3, hidden, hidden), layer(1, hidden, 2 * hidden, is_zero=True)]
      for _ in range(num_blocks)
    ],
    'heads': [
      [
        layer(1, hidden + c * known_channels, hidden),
        layer(1, hidden, num_parameters, is_zero=True),
      ]
      for c in range(channels)
    ],
  }
  if num_places > 1:
    params['places'] = layer(1, hidden, num_places, is_zero=True)
  return MixtureNetwork(params, network_dtype, padding)
