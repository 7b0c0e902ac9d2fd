from absl.testing import absltest

from train.config import nested


class NestedTest(absltest.TestCase):
  def test_flat(self):
    values = {'a': 1, 'b': {'c': {'d': [2]}, 'e': None}, 'f': {}}
    self.assertEqual(
      nested.flat(values), [('a', 1), ('b.c.d', [2]), ('b.e', None)]
    )


if __name__ == '__main__':
  absltest.main()
