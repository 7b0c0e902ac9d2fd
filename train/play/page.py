"""The page, in Gradio: which fields there are, and what a click does."""

from __future__ import annotations

import random

from absl import logging

from train import shown_text
from train.play import answers

__all__ = ['CSS', 'build', 'theme']

CSS = """
footer { display: none !important; }
"""
_TOP_LABELS = 5
_FILE_TYPES = ['image', 'video']


def build(player, name, folder):
  """Builds the page.

  Args:
    player: `Player`.
    name: `str`, the run's name.
    folder: Path of the folder for drawn videos.

  Returns:
    `gradio.Blocks`.
  """
  import gradio as gr  # An extra, which only this page needs.

  with gr.Blocks(title=f'{name}: play', analytics_enabled=False) as page:
    gr.Markdown(f'# {shown_text.markdown(name)}\n{_summary(player)}')
    with gr.Row():
      with gr.Column(scale=2, min_width=320):
        fields = _Fields(gr, player)
      with gr.Column(scale=3, min_width=320):
        results = _Results(gr, player)
    _connect(gr, fields, results, player, folder)
  return page


def theme():
  """Gradio's theme with the system's fonts, so that none is fetched."""
  import gradio as gr

  return gr.themes.Default(
    font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace']
  )


def _summary(player):
  height, width, channels = player.frame_shape
  what = 'Videos' if player.has_tail else 'Images'
  colours = 'grey' if channels == 1 else 'colour'
  labels = player.label_names
  of = '' if labels is None else f', {len(labels)} labels'
  return (
    f'{what} of {height}x{width}, {colours}{of}. Export {player.path.name}.'
  )


class _Fields:
  """The components of the user: those that the model has a use for."""

  def __init__(self, gr, player):
    run, has_tail = player.config.run, player.has_tail
    labels = player.label_names or ()
    most = player.max_frames
    self.label = gr.Dropdown(
      [(label, number) for number, label in enumerate(labels)],
      value=0 if labels else None,
      label='Label',
      visible=bool(labels),
      elem_id='label',
    )
    self.num_frames = gr.Slider(
      1,
      max(most, 2),
      min(run.sample_frames, most),
      step=1,
      label='Frames in all',
      visible=has_tail,
      elem_id='num-frames',
    )
    self.file = gr.File(
      file_types=_FILE_TYPES,
      label=_file_label(player),
      height=150,
      visible=has_tail or player.classifies,
      elem_id='file',
    )
    self.words = gr.Markdown(elem_id='upload-words')
    self.strip = gr.Image(
      show_label=False,
      visible=False,
      interactive=False,
      buttons=[],
      elem_id='strip',
    )
    # A draw that waits for its upload begins with as many as the tail sees.
    self.num_given = gr.Slider(
      1,
      max(player.num_seen, 2),
      player.num_seen,
      step=1,
      label='Frames to begin with',
      visible=False,
    )
    self._add_drawing(gr, player)

  def _add_drawing(self, gr, player):
    """How the model draws, and the buttons that make it draw."""
    run = player.config.run
    with gr.Row():
      self.temperature = gr.Slider(
        0,
        max(2.0, run.temperature),
        run.temperature,
        step=0.05,
        label='Temperature',
        min_width=140,
      )
      self.min_p = gr.Slider(
        0,
        0.99,
        player.config.model.min_p,
        step=0.01,
        label='min-p',
        min_width=140,
      )
    self.seed = gr.Number(
      0,
      label='Seed',
      precision=0,
      minimum=0,
      maximum=answers.MAX_SEED,
      elem_id='seed',
    )
    with gr.Row():
      self.generate = gr.Button('Generate', variant='primary', min_width=140)
      self.again = gr.Button('New seed', min_width=140)

  @property
  def of_request(self):
    """The components of a `Request`, in its order."""
    return [
      self.label,
      self.num_frames,
      self.num_given,
      self.seed,
      self.temperature,
      self.min_p,
    ]


def _file_label(player):
  if not player.has_tail:
    return 'A picture, for its label'
  if player.has_head:
    return 'First frame or clip, to continue it'
  return 'First frame or clip: this model continues videos'


class _Results:
  """The components that answers fill: the video beside the probabilities."""

  def __init__(self, gr, player):
    with gr.Row():
      with gr.Column(scale=3, min_width=320):
        if player.has_tail:
          self.drawn = gr.Video(
            show_label=False,
            autoplay=True,
            loop=True,
            height=360,
            elem_id='drawn',
          )
        else:
          self.drawn = gr.Image(
            show_label=False,
            type='filepath',
            interactive=False,
            buttons=['download'],
            height=360,
            elem_id='drawn',
          )
        self.words = gr.Markdown(elem_id='drawn-words')
      with gr.Column(scale=2, min_width=220, visible=False) as self.beside:
        self.probabilities = gr.Label(
          label='Label of your upload',
          num_top_classes=_TOP_LABELS,
          elem_id='probabilities',
        )


def _connect(gr, fields, results, player, folder):
  """Says which function answers which event."""
  upload = gr.State()

  def look(path):
    """Values of the upload, the given frames and the results of the upload."""
    hidden = gr.update(visible=False)
    if path is None:
      return None, '', hidden, hidden, hidden, None
    try:
      found = answers.look(player, path)
    except Exception as e:  # pylint: disable=broad-except
      return None, _not(e, 'used'), hidden, hidden, hidden, None
    return (
      found,
      shown_text.markdown(found.words),
      gr.update(value=found.strip, visible=True),
      _given(gr, player, len(found.frames)),
      gr.update(visible=found.probabilities is not None),
      found.probabilities,
    )

  def draw(found, *values):
    """Values of the video and the words about it."""
    try:
      drawn = answers.draw(player, folder, answers.Request(*values), found)
    except Exception as e:  # pylint: disable=broad-except
      return None, _not(e, 'drawn')
    return drawn.path, shown_text.markdown(drawn.words)

  _connect_events(gr, fields, results, upload, look, draw)


def _connect_events(gr, fields, results, upload, look, draw):
  """Calls `look` for an upload, and `draw` for a click."""
  # One at a time, in order: a draw waits for the upload before it.
  turn = {'concurrency_limit': 1, 'concurrency_id': 'model'}
  fields.file.change(
    look,
    [fields.file],
    [
      upload,
      fields.words,
      fields.strip,
      fields.num_given,
      results.beside,
      results.probabilities,
    ],
    show_progress_on=fields.words,
    **turn,
  )
  drawing = {
    'fn': draw,
    'inputs': [upload, *fields.of_request],
    'outputs': [results.drawn, results.words],
    'show_progress_on': results.drawn,
    'scroll_to_output': True,
    **turn,
  }
  fields.generate.click(**drawing)
  fields.again.click(
    lambda: random.randint(0, answers.MAX_SEED),
    None,
    fields.seed,
    show_progress='hidden',
  ).then(**drawing)


def _given(gr, player, num):
  """The slider of given frames for an upload of `num` frames."""
  most = min(num, player.max_frames - 1)
  usual = min(player.num_seen, most)
  visible = player.has_tail and most > 1
  return gr.update(maximum=max(most, 2), value=usual, visible=visible)


def _not(error, what):
  """The Markdown that says why something is not; faults are logged."""
  words = answers.sentence(error)
  if words is None:
    logging.error('Not %s, by a fault.', what, exc_info=error)
    words = f'A fault of this program ({error!r}); the terminal has more.'
  return f'**Not {what}.** {shown_text.markdown(words)}'
