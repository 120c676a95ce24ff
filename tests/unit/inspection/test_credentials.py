"""The forms of credentials, and what only looks like one; made of parts, so that no scanner stops here."""

from __future__ import annotations

import base64
import json
import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.inspection import credentials
from wardian.inspection.credentials import find_credential, find_credentials, may_hold_credentials

_DRAWN = random.Random(7)
_LETTERS = string.ascii_letters + string.digits
_CAPITALS = string.ascii_uppercase + "234567"
_HEX = "0123456789abcdef"


def drawn(count: int, letters: str = _LETTERS) -> str:
    return "".join(_DRAWN.choice(letters) for _ in range(count))


FORMS = {
    "aws": "AKIA" + drawn(16, _CAPITALS),
    "aws secret": f'aws_secret_access_key = "{drawn(40, _LETTERS + "+/")}"',
    "aws file": f"[default]\naws_secret_access_key = {drawn(40, _LETTERS + '+/')}\n",
    "aws variable": f"export AWS_SECRET_ACCESS_KEY={drawn(40, _LETTERS + '+/')}\n",
    "aws answer": json.dumps({"SecretAccessKey": drawn(40)}),
    "gcp account": json.dumps({"private_key": "-----BEGIN PRIVATE " + "KEY-----\nMIIE"}),
    "gcp key": "AIza" + drawn(35),
    "gcp token": "ya29." + drawn(60),
    "gcp client": "GOCSPX-" + drawn(28),
    "azure": "AccountName=x;AccountKey=" + drawn(86) + "==;EndpointSuffix=core.windows.net",
    "azure bus": "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKey=" + drawn(43) + "=",
    "azure signature": "https://x.blob.core.windows.net/c?sv=2022-11-02&sig=" + drawn(43) + "%3D",
    "azure client": drawn(3) + "8Q~" + drawn(34),
    "github": "ghp_" + drawn(36),
    "github fine": "github_pat_" + drawn(22) + "_" + drawn(59),
    "gitlab": "glpat-" + drawn(20),
    "hub": "hf_" + drawn(34),
    "openai": "sk-" + drawn(48),
    "openai project": "sk-proj-" + drawn(70) + "T3BlbkFJ" + drawn(70),
    "anthropic": "sk-ant-api03-" + drawn(93) + "AA",
    "slack": f"xoxb-{drawn(12, string.digits)}-{drawn(12, string.digits)}-{drawn(24)}",
    "slack app": f"xapp-1-A{drawn(10)}-{drawn(13, string.digits)}-{drawn(64, _HEX)}",
    "slack address": f"https://hooks.slack.com/services/T{drawn(8)}/B{drawn(8)}/{drawn(24)}",
    "stripe": "sk_live_" + drawn(24),
    "stripe restricted": "rk_test_" + drawn(24),
    "openssh": "-----BEGIN OPENSSH PRIVATE " + "KEY-----\n",
    "pgp": "-----BEGIN PGP PRIVATE " + "KEY BLOCK-----",
    "wandb variable": f'os.environ["WANDB_API_KEY"] = "{drawn(40, _HEX)}"',
    "wandb login": f'wandb.login(key="{drawn(40, _HEX)}")',
    "netrc": f"machine api.wandb.ai\n  login user\n  password {drawn(40, _HEX)}",
    "default": f'os.getenv("MY_SECRET_TOKEN", "{drawn(40)}")',
    "annotated": f'API_KEY: str = "{drawn(32)}"',
    "yaml": f"api_key: {drawn(32)}\n",
    "bearer": f'headers = {{"Authorization": "Bearer {drawn(40)}"}}',
    "web token": f"eyJhbGciOiJIUzI1NiJ9.eyJ{drawn(30)}.{drawn(43)}",
    "database": "postgresql://admin:S3cr3tPw@db.internal:5432/x",
    "cache": "redis://:hunter2hunter@10.0.0.1:6379/0",
}

HARMLESS = {
    "digest": f'digest = "{drawn(64, _HEX)}"',
    "weights": base64.b64encode(_DRAWN.randbytes(20_000)).decode(),
    "vocabulary": "\n".join(
        f"{base64.b64encode(_DRAWN.randbytes(_DRAWN.randint(1, 30))).decode()} {i}" for i in range(3000)
    ),
    "special": json.dumps({"token": "SentencePieceBPE_v2_32000", "tokenizer_class": "LlamaTokenizerFast"}),
    "read": 'api_key = os.environ["OPENAI_API_KEY"]',
    "formatted": 'token=f"{prefix}_{suffix}0123456789abc"',
    "placeholder": 'api_key="YOUR_API_KEY_GOES_HERE_123456"',
    "words": "sk-learn-is-a-very-nice-library-for-machine-learning-tasks-v2",
    "disk": "disk-0123456789abcdefghij0123456789abcdefghij",
    "repeated": "hf_" + "a" * 34,
    "path": 'private_key = "/etc/ssl/private/key1.pem"',
    "pattern": 'SECRET = r"sk-[0-9a-zA-Z]{32,}"',
    "changed later": 'password="changeme12345678"',
    "layer": 'access_key = "layer1.0.conv1.weight"',
    "public": "-----BEGIN PUBLIC KEY-----",
    "unquoted code": "token = self_attention_block_version_2_output\n",
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_forms_of_credentials(form: str) -> None:
    assert find_credential(FORMS[form].encode()) is not None


@pytest.mark.parametrize("text", sorted(HARMLESS))
def test_what_is_none(text: str) -> None:
    assert find_credential(HARMLESS[text].encode()) is None


def test_every_line_of_a_file_is_told_once() -> None:
    lines = ["import os", f'KEY = "{FORMS["aws"]}"', "", f'TOKEN = "{FORMS["github"]}"']
    told = list(find_credentials(tuple, b"", [("a.py", "\n".join(lines).encode())]))
    assert [sentence.partition(" holds ")[0] for sentence in told] == ["a.py, line 2,", "a.py, line 4,"]
    assert not any(FORMS[form] in sentence for form in ("aws", "github") for sentence in told)


@pytest.mark.parametrize("part", ["token ", "token=,:", "a.b-c_", "https://", "api_key: str = ", "sk-"])
def test_looking_takes_a_time_that_grows_with_the_size(part: str) -> None:
    start = time.process_time()
    assert find_credential(part.encode() * 20_000) is None
    assert time.process_time() - start < 3.0


_NAMES = [
    *("api_key", "apiKey", "API_KEYS", "secret", "secret_access_key", "access_key", "authKey", "account_key"),
    *("private_key", "token", "Password", "passwd", "passphrase", "bearer", "secretKey", "accessAccess_key"),
]


@given(st.sampled_from([sign for _, signs, _ in credentials._FORMS for sign in signs]), st.binary())
def test_every_sign_makes_one_look_closer(sign: bytes, around: bytes) -> None:
    assert may_hold_credentials(around + sign + around)


@pytest.mark.parametrize("name", _NAMES)
def test_every_name_makes_one_look_closer(name: str) -> None:
    assert may_hold_credentials(b"..." + name.encode() + b"...")
    assert find_credential(drawn(32).encode(), f"model.{name}") is not None


@given(st.one_of(*(st.from_regex(form) for _, _, form in credentials._FORMS)))
def test_no_form_is_as_short_as_what_is_not_looked_at(text: bytes) -> None:
    assert len(text) >= credentials._SHORTEST


@pytest.mark.parametrize("form", sorted(FORMS))
def test_what_has_a_form_makes_one_look_closer(form: str) -> None:
    assert may_hold_credentials(FORMS[form].encode())


def test_words_that_only_contain_a_part_of_a_name_do_not() -> None:
    assert not may_hold_credentials(b"key12 monkeys keyboard_layout pass_through")
