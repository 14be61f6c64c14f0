"""The course of a training: what is drawn is what was recorded."""

import pytest

from tests.report.pages import toy_metrics
from textlatent.report.course import course_pictures, draw_beta, draw_information, draw_nats, known_information
from textlatent.report.drawing import new_figure


def test_information_is_drawn_with_its_whole_interval() -> None:
    metrics = toy_metrics()
    metrics[-1] |= {"information_lower_nats_se": 0.1, "information_upper_nats_se": 0.2}
    last = known_information(metrics)[-1]
    assert last[:4] == (400, 1.0, 0.625, 0.75)
    assert last[4:] == pytest.approx((0.625 - 0.196, 0.75 + 0.392))
    _, (axes,) = new_figure()
    draw_information(axes, metrics)
    points, _, (bars,) = axes.containers[0].lines
    assert list(points.get_xdata()) == [4.0, 2.0, pytest.approx(4.0 / 3.0), 1.0]
    assert [y for _, y in bars.get_segments()[-1]] == pytest.approx([0.429, 1.142])
    assert [text.get_text() for text in axes.texts] == ["step 100", "step 400"]


def test_a_lower_bound_alone_is_a_point() -> None:
    (found,) = known_information([{"event": "validate", "step": 1, "rate_nats": 2.0, "information_lower_nats": 1.0}])
    assert found == (1, 2.0, 1.0, 1.0, 1.0, 1.0)


def test_a_course_without_information_has_three_pictures() -> None:
    titles = [picture.title for picture in course_pictures(toy_metrics(information=False))]
    assert titles == ["What a sentence costs", "Rate", "Weight of the rate"]
    assert [picture.title for picture in course_pictures(toy_metrics())][3:] == ["Information against rate"]
    assert course_pictures([]) == []


def test_captions_carry_the_numbers() -> None:
    nats, rate, beta, information = course_pictures(toy_metrics(), exact=12.0, target=2.0, collapse=200)
    assert "-ELBO ends at 12.30 nats per sentence, distortion at 12.20" in nats.caption
    assert "entropy 12.00" in nats.svg
    assert "The rate ends at 0.10 nats per sentence; 2 was asked for." in rate.caption
    assert "Collapse began at step 200." in rate.caption
    assert "collapse" in rate.svg
    assert "ends at 4." in beta.caption
    assert "1.00 nats of rate carry between 0.62 and 0.75 nats" in information.caption


def test_the_labels_are_the_last_values() -> None:
    _, (axes,) = new_figure()
    assert [(label.at, label.text) for label in draw_nats(axes, toy_metrics(), 12.0)] == [
        (pytest.approx(12.3), "\N{MINUS SIGN}ELBO"),
        (pytest.approx(12.2), "distortion"),
        (12.0, "entropy 12.00"),
    ]


def test_a_constant_beta_has_room_and_a_zero_beta_is_survived() -> None:
    _, (axes,) = new_figure()
    draw_beta(axes, [{"event": "log", "step": s, "beta": 1.0} for s in (1, 2)])
    assert axes.get_ylim() == pytest.approx((0.4, 2.5))
    _, (axes,) = new_figure()
    assert draw_beta(axes, [{"event": "log", "step": s, "beta": 0.0} for s in (1, 2)]) == []


def test_a_beta_below_zero_has_a_linear_axis() -> None:
    for betas, scale in (((-1.0, 1.0), "linear"), ((0.0, 0.0), "linear"), ((0.0, 0.5), "log")):
        figure, (axes,) = new_figure()
        draw_beta(axes, [{"event": "log", "step": s, "beta": beta} for s, beta in enumerate(betas)])
        assert axes.get_yscale() == scale
        figure.canvas.draw()


def test_points_are_drawn_by_their_distortion_alone() -> None:
    """No rate, no beta, no -ELBO (THEORY T6d): the line and the dots there are, and a caption that names them."""
    steps = [{"event": "log", "step": s, "rate_nats": None, "neg_elbo_nats": None, "beta": 1.0} for s in (5, 10)]
    steps = [event | {"distortion_nats": 30.0 - event["step"]} for event in steps]
    validation = {"event": "validate", "step": 10, "rate_nats": None, "neg_elbo_nats": None, "distortion_nats": 21.0}
    (picture,) = course_pictures([*steps, validation], exact=13.0)
    assert picture.caption == (
        "distortion ends at 20.00 nats per sentence, on the batches trained on. Dots: distortion of the validation "
        "sentences."
    )
