"""A picture of a trade-off shows every point where it is, its error to scale, and words that cover nothing."""

import itertools

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection

from studio import InputError
from studio.rendering.figures import pareto_plot

SHARE = np.linspace(0, 1, 7)
VALUES = np.stack([60 + 90 * SHARE**2, 40 - 25 * np.sqrt(SHARE)], axis=1)
ERRORS = np.stack([1 + 3 * SHARE, 0 * SHARE], axis=1)
NAMES = ["vertex resolution (mm)", "cost (million euro)"]
SPHERE = np.array([[1, 2, 2], [2, 1, 2], [2, 2, 1], [2, 3, 6]]) / np.array([3, 3, 3, 7])[:, None]


def front_of(axes):
    (found,) = [c for c in axes.collections if isinstance(c, PathCollection)]
    return np.asarray(found.get_offsets())


def test_points_and_errors_are_where_they_belong(tmp_path):
    shuffled = np.array([3, 0, 6, 1, 5, 2, 4])
    figure = pareto_plot(VALUES[shuffled], ERRORS[shuffled], NAMES, tmp_path / "front.png", dominated=VALUES[:2] + 5)
    (axes,) = figure.axes
    np.testing.assert_array_equal(front_of(axes), VALUES[shuffled])
    (bars,) = [c for c in axes.collections if isinstance(c, LineCollection)]  # no bars where there is no error
    ends = np.array(bars.get_segments())
    np.testing.assert_allclose(ends[:, 1, 0] - ends[:, 0, 0], 2 * ERRORS[shuffled, 0])
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(lines["attained by some design"].get_xdata(), VALUES[:, 0])
    np.testing.assert_array_equal(lines["dominated"].get_xydata(), VALUES[:2] + 5)
    assert [axes.get_xlabel(), axes.get_ylabel()] == NAMES
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["Pareto front, bars ±1σ over events", "attained by some design", "dominated"]
    assert (tmp_path / "front.png").stat().st_size > 10_000


def test_three_objectives_are_seen_in_pairs_and_coloured_by_the_last(tmp_path):
    figure = pareto_plot(SPHERE, None, ["a (mm)", "b (degree)", "c (euro)"], tmp_path / "front.png")
    panels, bar = figure.axes[:3], figure.axes[3]
    for axes, pair in zip(panels, [(0, 1), (0, 2), (1, 2)], strict=True):
        np.testing.assert_array_equal(front_of(axes), SPHERE[:, pair])
        (drawn,) = axes.collections  # no bars
        np.testing.assert_array_equal(drawn.get_array(), SPHERE[:, 2])
    assert bar.get_ylabel() == "c (euro)"
    assert [panel.get_xlabel() for panel in panels] == ["", "a (mm)", "b (degree)"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Pareto front"]


@pytest.mark.parametrize("size", [2, 3])
def test_words_cover_nothing(tmp_path, size):
    values, names = (VALUES, NAMES) if size == 2 else (SPHERE, ["a (mm)", "b (degree)", "c (euro)"])
    figure = pareto_plot(
        values, 0.02 * values, names, tmp_path / "front.png", dominated=values * 1.1, title="A tank, and what it costs"
    )
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in [*figure.texts, figure._suptitle] if text is not None]
    boxes += [legend.get_window_extent(renderer) for legend in figure.legends]
    boxes += [axes.get_tightbbox(renderer) for axes in figure.axes]
    for first, second in itertools.combinations(boxes, 2):
        # one pixel: how exact text extents are
        wide = min(first.x1, second.x1) - max(first.x0, second.x0)
        high = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert first is second or (wide < 1 or high < 1) or first.bounds == second.bounds


def test_what_does_not_fit_together_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"points of shape \(7, 2\) for 3 objectives"):
        pareto_plot(VALUES, None, ["a", "b", "c"], tmp_path / "front.png")
    with pytest.raises(InputError, match=r"errors: shape \(3, 2\) beside points of shape \(7, 2\)"):
        pareto_plot(VALUES, ERRORS[:3], NAMES, tmp_path / "front.png")
    with pytest.raises(InputError, match=r"dominated: shape \(4, 3\)"):
        pareto_plot(VALUES, None, NAMES, tmp_path / "front.png", dominated=SPHERE)
    assert not list(tmp_path.iterdir())
