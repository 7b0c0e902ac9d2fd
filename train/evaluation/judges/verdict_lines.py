"""What a judge says of a run, in words."""

__all__ = ['sampling_text', 'verdict_lines']


def verdict_lines(metrics):
  """One line for each kind of video that was judged: list of `str`.

  Args:
    metrics: `dict` with the keys of metrics.json; without `judge` there are no
      lines.
  """
  judged = metrics.get('judge')
  if not judged:
    return []
  say = _of_videos if 'videos_right_through' in judged['real'] else _of_frames
  texts = []
  for key in ('generated', 'continued'):
    rates = judged[key]
    if rates:
      title = f'{rates["num_videos"]} of labels'
      if rates['num_given']:
        title = f'{rates["num_videos"]} from {rates["num_given"]} real frames'
      texts.append(f'{title}: {say(rates)}')
  texts = [*texts, f'real clips: {say(judged["real"])}']
  texts[0] = (
    f'Judge: {judged["name"]}, {sampling_text(judged["sampling"])}. {texts[0]}'
  )
  return texts


def sampling_text(sampling):
  """How videos were drawn: 'temperature 1, min_p 0.02'."""
  return ', '.join(f'{name} {value:g}' for name, value in sampling.items())


def _of_videos(rates):
  """What a `ShapesJudge` says."""
  first = rates['first_frames']
  said = [f'no object {_text(first["no_object"])}'] * (not rates['num_given'])
  said.append(f'first frame right {_text(first["right"])}')
  through = rates['videos_right_through']
  if max(map(int, through)) > 1:
    said.append(f'right through frame {_by_horizon(through)}')
  return ', '.join(said)


def _of_frames(rates):
  """What a `ClassifierJudge` says."""
  said = [
    f'first frame recognised {_text(rates["first_frames"]["recognised"])}'
  ]
  at = rates['frames_recognised_at']
  if max(map(int, at)) > 1:
    said.append(f'recognised at frame {_by_horizon(at)}')
  return ', '.join(said)


def _by_horizon(rates):
  return ', '.join(f'{horizon} {_text(r)}' for horizon, r in rates.items())


def _text(rate):
  return '-' if rate['rate'] is None else f'{rate["rate"]:.2f}'
