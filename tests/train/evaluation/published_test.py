from absl.testing import absltest
from absl.testing import parameterized

from train.config import fields
from train.config import overrides
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
    self.assertEqual((number['part'],), presets.PRESETS[preset].model.parts)
    self.assertNotIn('keys', number)

  def test_keys_are_of_configs(self):
    for preset in ('bair', 'fashion'):
      (number,) = [
        n
        for n in published.NUMBERS
        if n['keys']['data'] == fields.flat(presets.PRESETS[preset])['data']
      ]
      self.assertContainsSubset(
        number['keys'], fields.flat(presets.PRESETS[preset])
      )

  @parameterized.parameters(
    'model.n_bits=5',
    'data.frame_size=32',
    'data.channels=1',
    'data=shapes',
    'model.tail=none',
    'model.dequantisation=legacy',
  )
  def test_other_frames_have_none(self, assignment):
    config = overrides.override(presets.PRESETS['bair'], [assignment])
    self.assertEmpty(published.numbers_for(config))


if __name__ == '__main__':
  absltest.main()
