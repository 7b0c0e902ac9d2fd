import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized

from train import errors
from train.storage import origin


class OriginTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def test_runs_are_named_without_their_places(self):
    origin.write(self.folder, [('/home/ann/a/', 'head'), ('runs/b', '')], [])
    self.assertEqual(origin.words(self.folder), 'a:head, b')

  def test_weights_that_were_not_copied_are_counted(self):
    origin.write(self.folder, [('a', '')], ['head/x: a has none'] * 2)
    self.assertEqual(origin.words(self.folder), 'a; 2 weights not copied')

  def test_a_run_that_begins_anew(self):
    origin.clear(self.folder)
    origin.write(self.folder, [('a', '')], [])
    origin.clear(self.folder)
    self.assertEqual(origin.words(self.folder), '')
    self.assertEmpty(list(self.folder.iterdir()))

  def test_a_copy_names_no_place(self):
    target = self.folder / 'packed'
    target.mkdir()
    origin.copy(self.folder, target)
    self.assertEmpty(list(target.iterdir()))
    origin.write(
      self.folder,
      [('/home/ann/a', 'head'), ('/home/ann/a b/', '')],
      ['head/x: /home/ann/a has none', 'tail/y: /home/ann/a b/ has none'],
    )
    origin.copy(self.folder, target)
    self.assertEqual(
      json.loads((target / origin.FILE).read_text()),
      {
        'runs': [
          {'path': 'a', 'part': 'head'},
          {'path': 'a b', 'part': ''},
        ],
        'not_copied': ['head/x: a has none', 'tail/y: a b has none'],
      },
    )

  @parameterized.parameters(
    '{',
    '[]',
    '{"runs": {}, "not_copied": []}',
    '{"runs": [3], "not_copied": []}',
    '{"runs": [{"path": 1, "part": ""}], "not_copied": []}',
    '{"runs": []}',
  )
  def test_a_damaged_note_is_one_line_with_its_name(self, text):
    (self.folder / origin.FILE).write_text(text)
    with self.assertRaisesRegex(errors.UserError, 'init_from.json'):
      origin.words(self.folder)


if __name__ == '__main__':
  absltest.main()
