from absl.testing import absltest
from absl.testing import parameterized

from train import shown_text

_BIDIRECTIONAL = '\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2069'


class ShownTextTest(parameterized.TestCase):
  @parameterized.parameters(*_BIDIRECTIONAL)
  def test_characters_that_turn_the_text(self, character):
    text = f'cat{character}gnp.exe'
    for show in (shown_text.visible, shown_text.markdown, shown_text.code):
      self.assertNotIn(character, show(text))
    self.assertEqual(
      shown_text.visible(text), f'cat\\u{ord(character):04x}gnp.exe'
    )

  @parameterized.parameters(
    ('\x1b[31m', '\\x1b[31m'),
    ('caf\udce9', 'caf\\udce9'),
    ('a\u2028b', 'a\\u2028b'),
    ('\ufeffcat', '\\ufeffcat'),
    ('猫 é 😀 👩\u200d🚀', '猫 é 😀 👩\u200d🚀'),
    ('a\nb\tc', 'a\nb\tc'),
  )
  def test_visible(self, text, expected):
    self.assertEqual(shown_text.visible(text), expected)

  def test_markdown(self):
    self.assertEqual(
      shown_text.markdown('<b>a|b</b>\n`c`  [d](e) \\'),
      r'\<b\>a\|b\</b\> \`c\` \[d\](e) \\',
    )

  @parameterized.parameters(
    ('python -m a', '`python -m a`'),
    ('a `b` ``c', '``` a `b` ``c ```'),
    ('a\nb', '`a\\nb`'),
  )
  def test_code(self, text, expected):
    self.assertEqual(shown_text.code(text), expected)


if __name__ == '__main__':
  absltest.main()
