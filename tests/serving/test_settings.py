"""Settings by environment and by flags: types, ranges, names."""

import logging

import pytest

from qa.errors import ConfigError
from qa.serving.connections import ConnectionLimits
from qa.serving.settings import ServiceSettings, settings_from


def test_every_setting_can_be_said_by_the_environment():
    said = {
        "QA_MODEL": "m",
        "QA_REVISION": "r",
        "QA_DEVICE": "cpu",
        "QA_DTYPE": "bfloat16",
        "QA_BACKEND": "onnx",
        "QA_HOST": "0.0.0.0",
        "QA_PORT": "80",
        "QA_ROOT_PATH": "/qa",
        "QA_CORS_ORIGINS": "https://a.org http://b.org",
        "QA_ACCESS_LOG": "false",
        "QA_MAX_WAITING": "3",
        "QA_MAX_BODY_BYTES": "4",
        "QA_TIMEOUT": "5.5",
        "QA_HEADER_TIMEOUT": "6",
        "QA_KEEP_ALIVE": "8.5",
        "QA_MAX_CONNECTIONS": "7",
    }
    found = settings_from(said | {"PATH": "/bin"})
    wanted = ServiceSettings(
        model="m",
        revision="r",
        device="cpu",
        dtype="bfloat16",
        backend="onnx",
        host="0.0.0.0",
        port=80,
        root_path="/qa",
        cors_origins=("https://a.org", "http://b.org"),
        access_log=False,
        max_waiting=3,
        max_body_bytes=4,
        timeout=5.5,
        header_timeout=6.0,
        keep_alive=8.5,
        max_connections=7,
    )
    assert found == wanted
    assert (found.limits.body_bytes, found.limits.waiting, found.limits.seconds) == (4, 3, 5.5)
    assert found.connection_limits == ConnectionLimits(header_seconds=6.0, idle_seconds=8.5, connections=7)


def test_what_is_given_goes_before_the_environment_and_that_before_defaults():
    found = settings_from({"QA_MODEL": "m", "QA_PORT": "1", "QA_HOST": ""}, port=2, timeout=None)
    assert (found.model, found.port, found.host, found.timeout) == ("m", 2, "127.0.0.1", 30.0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("QA_PORT", "many", "QA_PORT is 'many'; wanted a valid integer"),
        ("QA_PORT", "tcp://10.0.0.1:8000", "Kubernetes makes this variable"),
        ("QA_PORT", "-1", "port is -1; wanted at least 0"),
        ("QA_BACKEND", "tensorflow", "QA_BACKEND is 'tensorflow'; wanted 'torch', 'onnx' or 'onnx_int8'"),
        ("QA_ACCESS_LOG", "perhaps", "QA_ACCESS_LOG is 'perhaps'; wanted a valid boolean"),
        ("QA_TIMEOUT", "0", "timeout is 0"),
        ("QA_TIMEOUT", "inf", "timeout is inf"),
        ("QA_HEADER_TIMEOUT", "nan", "header_timeout is nan"),
        ("QA_KEEP_ALIVE", "0", "keep_alive is 0; wanted seconds, above 0"),
        ("QA_MAX_CONNECTIONS", "0", "max_connections is 0; wanted at least 1"),
        ("QA_ROOT_PATH", "qa", "root_path is 'qa'"),
        ("QA_ROOT_PATH", "/qa/", "without a slash at its end"),
        ("QA_CORS_ORIGINS", "example.org", "cors_origins has 'example.org'"),
        ("QA_MODEL", "", "found no QA_MODEL"),
    ],
)
def test_wrong_values_are_named(name, value, said):
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        settings_from({"QA_MODEL": "m"} | {name: value})


def test_a_variable_that_means_nothing_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        logging.getLogger("qa").propagate = True
        settings_from({"QA_MODEL": "m", "QA_PROT": "1"})
    assert "QA_PROT" in caplog.text
    assert "QA_PORT" in caplog.text
