"""`qa serve`: every flag is a setting; what cannot be served is a line."""

from dataclasses import replace

import pytest
import tyro

from qa.cli.answer_flags import Serve
from qa.cli.main import main
from qa.cli.serve import settings_of
from qa.serving.settings import settings_from
from tests.support import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.save_reader(tmp_path_factory.mktemp("models") / "tiny-reader")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/no/such/model"], "no such folder"),
        ([], "found no QA_MODEL"),
        (["MODEL", "--port", "70000"], "cannot listen on 127.0.0.1, port 70000"),
        (["MODEL", "--root-path", "qa"], "root_path is 'qa'"),
    ],
)
def test_what_cannot_be_served_is_a_line(model, words, said, capsys, monkeypatch):
    monkeypatch.delenv("QA_MODEL", raising=False)
    assert main(["serve", *(str(model) if word == "MODEL" else word for word in words)]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (["--host", "::1"], "host", "::1"),
        (["--port", "0"], "port", 0),
        (["--revision", "r"], "revision", "r"),
        (["--device", "cpu"], "device", "cpu"),
        (["--dtype", "bfloat16"], "dtype", "bfloat16"),
        (["--backend", "onnx"], "backend", "onnx"),
        (["--root-path", "/x"], "root_path", "/x"),
        (["--cors-origins", "https://a.org", "https://b.org"], "cors_origins", ("https://a.org", "https://b.org")),
        (["--access-log", "False"], "access_log", False),
        (["--max-waiting", "3"], "max_waiting", 3),
        (["--max-body-bytes", "50"], "max_body_bytes", 50),
        (["--timeout", "0.5"], "timeout", 0.5),
        (["--header-timeout", "0.3"], "header_timeout", 0.3),
        (["--keep-alive", "620"], "keep_alive", 620.0),
        (["--max-connections", "4"], "max_connections", 4),
    ],
)
def test_every_flag_is_a_setting(flags, field, value):
    """What each setting does is tested where it is done, by two values."""
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName)
    asked = tyro.cli(Serve, args=["m", *flags], config=config)
    plain, changed = settings_from({}, model="m"), settings_of(asked, {})
    assert changed == replace(plain, **{field: value})
    assert getattr(plain, field) != value


def test_the_help_groups_the_flags(capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    told = capsys.readouterr().out
    titles = [told.index(title) for title in ("running options", "listening options", "limits options")]
    assert titles == sorted(titles)
    assert titles[0] < told.index("--dtype") < titles[1] < told.index("--port {") < titles[2] < told.index("--timeout")
