import dataclasses

from absl.testing import absltest
from absl.testing import parameterized

from train.config import configs
from train.config import presets
from train.evaluation import published


class PublishedTest(parameterized.TestCase):
  @parameterized.parameters(
    ('bair', 'VideoFlow', 1.87), ('fashion', 'Glow', 2.95)
  )
  def test_presets_have_a_number_beside_theirs(self, preset, name, bits):
    (number,) = published.numbers_for(presets.PRESETS[preset])
    self.assertIn(name, number['title'])
    self.assertEqual(number['bits_per_dim'], bits)
    self.assertEqual(number['part'], presets.PRESETS[preset].model)
    self.assertNotIn('data', number)

  def test_keys_are_fields(self):
    fields = {f.name for f in dataclasses.fields(configs.Config)}
    for number in published.NUMBERS:
      self.assertContainsSubset(number['data'], fields)

  @parameterized.parameters(
    'model.n_bits=5',
    'data.frame_size=32',
    'data.channels=1',
    'data=shapes',
    'model.tail=none',
    'model.dequantisation=legacy',
  )
  def test_other_frames_have_none(self, assignment):
    config = configs.override(presets.PRESETS['bair'], [assignment])
    self.assertEmpty(published.numbers_for(config))


if __name__ == '__main__':
  absltest.main()
