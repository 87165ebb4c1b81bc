import warnings

import pytest

from salreg.callbacks.alerts import Alerts


def test_once_per_crossing():
    alerts = Alerts({"reliance": 0.2})
    said = [len(alerts.crossed({"val/reliance": value})) for value in (0.1, 0.3, 0.5, 0.2, 0.1, 0.3)]
    assert said == [0, 1, 0, 0, 0, 1]


def test_a_limit_stands_for_whole_words_at_a_names_end():
    alerts = Alerts({"reliance": 0.2, "panel/grad_cam/gini": 0.5})
    numbers = {"val/reliance": 0.3, "panel/reliance": 0.3, "my_reliance": 0.9, "panel/grad_cam/gini": 0.6, "gini": 0.9}
    assert [text.split()[0] for text in alerts.crossed(numbers)] == ["val/reliance", "panel/reliance", "panel/grad_cam/gini"]


def test_what_is_not_a_number_crosses_nothing():
    assert Alerts({"reliance": 0.2}).crossed({"reliance": float("nan")}) == []


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -float("inf")])
def test_a_limit_that_is_never_reached_is_refused(limit):
    with pytest.raises(ValueError, match="alerts: reliance must be a finite number"):
        Alerts({"reliance": limit})


@pytest.mark.parametrize(
    ("limits", "message"), [({"a": "high"}, "not the text 'high'"), ({"a": "0.2"}, "quotation"), (0.2, "must be a mapping")]
)
def test_a_limit_that_is_no_number_is_refused(limits, message):
    with pytest.raises(TypeError, match=message):
        Alerts(limits)


def test_a_misspelt_alert_is_said_once_numbers_are_there():
    alerts, numbers = Alerts({"relience": 0.2, "gini": 0.5}), {"panel/reliance": 0.9, "panel/grad_cam/gini": 0.1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alerts.crossed({"panel/grad_cam/gini": 0.1})  # before the training there are fewer
    with pytest.warns(UserWarning, match="'relience' has no effect.*did you mean 'reliance'"):
        alerts.crossed(numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alerts.crossed(numbers)


@pytest.mark.parametrize(("value", "said"), [(0.2, 0), (0.2000001, 1), (-0.2, 0)])
def test_a_number_at_its_limit_has_not_risen_above_it(value, said):
    assert len(Alerts({"reliance": 0.2}).crossed({"reliance": value})) == said


def test_a_number_back_at_its_limit_may_cross_it_again():
    alerts = Alerts({"reliance": 0.2})
    assert [len(alerts.crossed({"reliance": value})) for value in (0.3, 0.2, 0.3)] == [1, 0, 1]


def test_a_number_that_becomes_nan_may_cross_again():
    alerts = Alerts({"reliance": 0.2})
    assert [len(alerts.crossed({"reliance": value})) for value in (0.3, float("nan"), 0.3)] == [1, 0, 1]


def test_limits_may_be_negative_or_zero():
    assert len(Alerts({"cosine": -0.5}).crossed({"cosine": -0.4})) == 1
    assert Alerts({"cosine": 0}).crossed({"cosine": 0.0}) == []
