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
