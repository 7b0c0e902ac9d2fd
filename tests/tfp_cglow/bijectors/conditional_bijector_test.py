"""Tests of `conditional_bijector`."""

import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow
from tfp_cglow.bijectors import conditional_bijector

tfb = tfp.bijectors


class _Shift(tfp_cglow.ConditionalBijector):
  """The smallest subclass: y = x + by, and a count of its passes."""

  def __init__(self, validate_args=False, name='shift'):
    parameters = dict(locals())
    self.passes = 0
    super().__init__(
      forward_min_event_ndims=0,
      validate_args=validate_args,
      parameters=parameters,
      name=name,
    )

  @property
  def conditions(self):
    return {'by': 'float [...]'}

  def _forward_and_ildj(self, x, by):
    self.passes += 1
    return x + by, tf.zeros([], x.dtype)

  def _inverse_and_ildj(self, y, by):
    self.passes += 1
    return y - by, tf.zeros([], y.dtype)


class ConditionalBijectorTest(tf.test.TestCase):
  def test_two_methods_make_a_bijector(self):
    shift = _Shift()
    self.assertAllClose(shift.forward([1.0, 2.0], by=[3.0, 4.0]), [4.0, 6.0])
    self.assertAllClose(shift.inverse([4.0, 6.0], by=[3.0, 4.0]), [1.0, 2.0])

  def test_one_pass_gives_value_and_log_det(self):
    by, point = tf.constant([2.0]), tf.constant([1.0])
    for direction in ('forward', 'inverse'):
      shift = _Shift(name=f'shift_{direction}')
      both = getattr(shift, f'{direction}_and_log_det')
      value, log_det = both(point, event_ndims=0, by=by)
      self.assertEqual(shift.passes, 1)
      self.assertAllEqual(value, getattr(shift, direction)(point, by=by))
      method = getattr(shift, f'{direction}_log_det_jacobian')
      self.assertAllEqual(log_det, method(point, event_ndims=0, by=by))

  def test_log_det_alone_is_one_pass(self):
    shift = _Shift()
    shift.inverse_log_det_jacobian(tf.constant([1.0]), 0, by=tf.constant(2.0))
    self.assertEqual(shift.passes, 1)

  def test_works_in_a_chain_by_name(self):
    chain = tfb.Chain([tfb.Scale(2.0), _Shift(name='inner')])
    by = tf.constant([3.0])
    self.assertAllClose(chain.forward([1.0], inner={'by': by}), [8.0])

  def test_a_chain_that_routes_nothing_raises(self):
    chain = tfb.Chain([tfb.Scale(2.0), _Shift(name='inner')])
    with self.assertRaisesRegex(ValueError, 'needs the condition `by`'):
      chain.forward([1.0], iner={'by': tf.constant([3.0])})


class CheckTest(tf.test.TestCase):
  def test_own_conditions_may_be_anything(self):
    class Shift(tfp_cglow.ConditionalBijector):
      def __init__(self):
        super().__init__(
          forward_min_event_ndims=0, parameters={}, dtype=tf.float32
        )

      @property
      def conditions(self):
        return {'state': 'a pair'}

      def _inverse_and_ildj(self, y, state):
        return y - state[0] - state[1], tf.zeros_like(y)

    @tf.function
    def inverse(y, a, b):
      return Shift().inverse(y, state=(a, b))

    y, a, b = (tf.constant(v) for v in (6.0, 1.0, [2.0, 3.0]))
    self.assertAllEqual(inverse(y, a, b), [3.0, 2.0])

  def test_leading_dimensions(self):
    glow = tfp_cglow.build_glow(
      [2, 2, 1],
      1,
      tfp_cglow.AdditiveSteps(1, 4),
      context=tfp_cglow.Context(2),
      vector_channels=3,
      labels=tfp_cglow.LabelPriors(2),
    )
    fitting = {
      'context': tf.zeros([4, 2, 2, 2]),
      'vector': tf.zeros([3]),
      'label': [0, 1, 0, 1],
    }
    frames, latents = tf.zeros([4, 2, 2, 1]), tf.zeros([4, 4])
    for name, value in (
      ('context', tf.zeros([5, 2, 2, 2])),
      ('vector', tf.zeros([5, 3])),
      ('label', [0, 1, 0, 1, 0]),
      ('label', tf.zeros([5, 2])),
    ):
      conditions = {**fitting, name: value}
      for call, data in ((glow.inverse, frames), (glow.forward, latents)):
        with self.assertRaisesRegex(ValueError, rf'`{name}`.*\(5,\)'):
          call(data, **conditions)
    self.assertEqual(glow.inverse(frames[0], **fitting).shape, [4, 4])

  def test_names(self):
    check = conditional_bijector.check_condition_names
    expected = {'context': 'a map', 'label': 'an int'}
    given = {'context': 1, 'label': 2}
    self.assertEqual(check('owner', expected, {**given, 'vector': None}), given)
    with self.assertRaisesRegex(
      ValueError, '`owner`.*`lable`.*context: a map, label: an int.*`label`'
    ):
      check('owner', expected, {'context': 1, 'lable': 2})
    with self.assertRaisesRegex(
      ValueError, '`owner` needs the condition `label` .an int.*got: context'
    ):
      check('owner', expected, {'context': 1})
    with self.assertRaisesRegex(ValueError, 'expected: none'):
      check('owner', {}, {'label': 2})

  def test_context(self):
    check = lambda context: conditional_bijector.check_context(
      'owner', context, 3, [4, 4], tf.float32
    )
    self.assertEqual(check(tf.zeros([2, 4, 4, 3])).shape, [2, 4, 4, 3])
    for shape in ([4, 4, 2], [4, 3], [2, 8, 4, 3], [3]):
      with self.assertRaisesRegex(
        ValueError, r'`owner` expects `context` of shape \[..., 4, 4, 3\], but'
      ):
        check(tf.zeros(shape))
    with self.assertRaisesRegex(ValueError, 'float32, but got float64'):
      check(tf.zeros([4, 4, 3], tf.float64))


if __name__ == '__main__':
  tf.test.main()
