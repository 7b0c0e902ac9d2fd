from absl.testing import absltest

from train.report import curves


def _rows(skipped=(), keys=('head', 'tail'), **more):
  rows = [{'kind': 'eval', 'step': 0, 'model': 'identity'}]
  for step in (10, 20, 30):
    row = {'kind': 'train', 'step': step, 'loss': 1.0 / step, **more}
    for key in keys:
      row[f'{key}_bits_per_dim'] = 2.0
      row[f'{key}_log_det'] = 1.0
    row['skipped_steps'] = float(step in skipped)
    rows.append(row)
  return rows


def _text(figure):
  return b''.join(image.data for image in figure.images).decode()


class CurvesTest(absltest.TestCase):
  def test_skips_spikes_and_restores_are_marked(self):
    plain = _text(curves.training({'a': _rows()}))
    for name in ('skipped_steps', 'spikes', 'restore'):
      self.assertNotIn(f'id="{name}"', plain)
    rows = _rows(skipped=[20], spikes=1.0)
    rows.append({'kind': 'event', 'step': 25, 'event': 'restore'})
    marked = _text(curves.training({'a': rows}))
    for name in ('skipped_steps', 'spikes', 'restore'):
      self.assertIn(f'id="{name}"', marked)

  def test_panels_are_those_of_the_log(self):
    figure = curves.training({'a': _rows()})
    titles = [image.title for image in figure.images]
    self.assertLen(titles, 3)  # No latents' log-probability in these rows.
    self.assertEqual(titles[0], 'loss')
    self.assertStartsWith(titles[2], 'log |det|')

  def test_runs_are_named(self):
    text = _text(curves.training({'first': _rows(), '_second': _rows()}))
    self.assertIn('first head', text)
    self.assertIn('_second tail', text)

  def test_what_is_not_finite_ends_a_curve(self):
    rows = _rows() + [{'kind': 'train', 'step': 40, 'loss': float('nan')}]
    self.assertNotEmpty(curves.training({'a': rows}).images)

  def test_gradients_need_labels(self):
    self.assertIn('no label', curves.gradients({'a': _rows()}).missing)
    rows = _rows(labels_gradient_norm=0.1, head_gradient_norm=1.0)
    figure = curves.gradients({'a': rows})
    self.assertLen(figure.images, 1)
    self.assertIn('labels', _text(figure))
    rows = _rows(labels_gradient_norm=0.1, labels_movement=0.1)
    self.assertLen(curves.gradients({'a': rows}).images, 2)

  def test_gan(self):
    self.assertIn('not a GAN', curves.gan({'a': _rows()}).missing)
    rows = _rows(generator_loss=1.0, generated_mean=0.5)
    self.assertLen(curves.gan({'a': rows, 'b': rows}).images, 6)

  def test_no_rows(self):
    for draw in (curves.training, curves.gradients, curves.gan):
      self.assertIn('no row', draw({'a': []}).missing)


if __name__ == '__main__':
  absltest.main()
