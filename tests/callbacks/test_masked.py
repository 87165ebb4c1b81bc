"""What everybody may see of a configuration."""

import pytest

from salreg.callbacks.masked import masked


@pytest.mark.parametrize(
    "text",
    [
        "api_key: hush",
        "hf_token: hush",
        "logger: {wandbApiKey: hush, name: mine}",
        "- password: hush\n- seed: 1",
        "secrets:\n  first: hush\n  second:\n  - hush\nseed: 1",
        "secrets:\n- hush\n- hush\nseed: 1",
        "private_key: |\n  hush\n  hush\nseed: 1",
        "first: &it {token: hush}\nsecond: *it",
        "first: &it hush\ntoken: *it",
        "database: postgres://me:hush@example.org/runs",
        "x: !!python/object/apply:os.system {password: hush}",
        "a: 1\n---\naws.secret_access_key: hush",
        "password: hush\nx: [",
    ],
)
def test_secrets_are_masked_wherever_they_stand(text):
    shown = masked(text)
    assert "hush" not in shown
    assert "seed: 1" in shown or "seed: 1" not in text


@pytest.mark.parametrize(
    "text",
    [
        "seed: 1  # the token of the day\nmodel:\n  name: cnn\n",
        "max_tokens: 512\npad_token: 0\nnum_special_tokens: 2\ntokenizer: words\nkey: label\n",
        "root: ${oc.env:DATA}\nhub: https://example.org/a@b\n",
        "token: null\npassword: ''\n",
        "",
    ],
)
def test_everything_else_stays_as_it_was_written(text):
    assert masked(text) == text
