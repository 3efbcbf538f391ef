"""Log lines: one an event, in both formats, and no secret in any of them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laneway import Laneway
from laneway.config.models import Config
from laneway.logs import ABOUT, HIDDEN, Quoted, Redactor, configure, crash_text, hide_content

CANARY = 'c4nary/"quoted"+secret'
log = logging.getLogger("laneway.somewhere")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Loggers are the process's: leave them as they were."""
    loggers = [logging.getLogger(name) for name in ("laneway", "asyncio", "aiohttp")]
    before = [(one, list(one.handlers), one.level, one.propagate) for one in loggers]
    yield
    for one, handlers, level, propagate in before:
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


def err(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure(1)
    log.info("claimed", extra={"fields": {"tasks": 17, "lane": "legal letters", "empty": "", "none": None}})
    (line,) = err(capsys)
    assert re.fullmatch(r'\d\d:\d\d:\d\d info    claimed tasks=17 lane="legal letters" empty="" none=None', line)


def test_a_line_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    configure(1, json=True)
    log.info("claimed\n%s", "x", extra={"fields": {"tasks": 17, "level": "own", "deep": {"a": [1, (2,)]}, 5: 2**70}})
    (line,) = err(capsys)
    data = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data.pop("time"))
    assert data == {
        "level": "info",
        "logger": "laneway.somewhere",
        "message": "claimed\nx",
        "tasks": 17,
        "field_level": "own",
        "deep": {"a": [1, [2]]},
        "5": str(2**70),
    }


@pytest.mark.parametrize(
    ("verbosity", "levels"),
    [(-1, ["warning"]), (0, ["warning"]), (1, ["info", "warning"]), (5, ["debug", "info", "warning"])],
)
def test_verbosity(capsys: pytest.CaptureFixture[str], verbosity: int, levels: list[str]) -> None:
    configure(verbosity)
    configure(verbosity)  # again: no line twice
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert [line.split()[1] for line in err(capsys)] == levels


def test_one_event_is_one_line_and_a_trace_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    for verbosity in (0, 2):
        configure(verbosity)
        try:
            _fail(ValueError("first\nsecond"))
        except ValueError:
            log.exception("a\nb", extra={"fields": {"text": "x\r\ny\x1b[31m\x9b2J\u202e"}})
    short, long, *trace = err(capsys)
    for line in (short, long):
        assert re.fullmatch(r'\S+ error   a\\nb text="x \\ny \[31m 2J " error="ValueError: first\\nsecond"', line)
    assert trace
    assert all(line.startswith("    | ") for line in trace)


def _fail(error: Exception) -> None:
    raise error


def _log_everywhere(secret: str) -> None:
    """A secret in every place of a record that a careless caller may put it."""

    class Holder:
        def __str__(self) -> str:
            return f"holder of {secret}"

    log.warning("plain " + secret)
    log.warning("argument %s and %r", secret, [secret])
    log.warning("wrong %d", secret)
    log.warning(Holder())
    log.warning(
        "fields",
        extra={
            "fields": {"a": secret, "b": [secret, {secret: secret}], "c": Holder(), "d": secret.encode(), secret: 1}
        },
    )
    try:
        try:
            _fail(ValueError(secret))
        except ValueError as error:
            raise RuntimeError(f"outer {secret}") from error
    except RuntimeError:
        log.exception("failed")
    logging.getLogger("asyncio").error("Task exception was never retrieved: %s", secret)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("secret", [CANARY, "abcdefghijkl", "пароль-канарейка", "back\\slash\\key"])
def test_a_known_secret_never_gets_through(capsys: pytest.CaptureFixture[str], as_json: bool, secret: str) -> None:
    configure(2, json=as_json, secrets=[secret])
    _log_everywhere(secret)
    text = "\n".join(err(capsys))
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    assert text.count(HIDDEN) >= 9
    for form in forms:
        assert form not in text


@pytest.mark.parametrize("as_json", [False, True])
def test_a_secret_can_become_known_later(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    configure(0, json=as_json).add([CANARY])
    log.warning("https://h/?k=c4nary%2F%22quoted%22%2Bsecret")
    assert "c4nary" not in "".join(err(capsys))


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key: sk-proj-CANARYabc123_xyz",
        "sk-ant-api03-CANARY",
        "gsk_CANARYCANARY",
        "AIzaCANARYCANARYCANARYCANARY12",
        "Authorization: Bearer CANARY-token",
        "authorization: Basic Q0FOQVJZCANARY==",
        "{'x-api-key': 'CANARY1'}",
        '{"api_key": "CANARY1"}',
        "api-key: CANARY1",
        "api_key=CANARY1&x=1",
        "https://host/v1?key=CANARY1&model=x",
        "postgresql://user:CANARY1@host/db",
        "eyJCANARY12345.eyJCANARY.sigCANARY",
        "password = CANARY1",
    ],
)
def test_what_is_shaped_like_a_key_is_hidden(text: str) -> None:
    clean = Redactor().clean(text)
    assert "CANARY" not in clean
    assert HIDDEN in clean


@pytest.mark.parametrize(
    "text",
    [
        "task-completed-normally in risk-assessment-lane",
        "input_tokens=500 max_tokens: 300",
        "the variable OPENAI_API_KEY is not set",
        "http://127.0.0.1:8090/v1/chat/completions",
        "key t-000017 of task 17",
        "api_key_env = ...",
        "the bearer of bad news",
    ],
)
def test_what_is_no_key_stays(text: str) -> None:
    assert Redactor(["none", ""]).clean(text) == text


def test_fields_named_like_secrets_are_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    configure(0)
    fields = {"api_key": "x1", "headers": {"Authorization": "x2"}, "api_key_env": "SHOP_KEY", "input_tokens": 5}
    log.warning("w", extra={"fields": fields})
    (line,) = err(capsys)
    assert not re.search(r"x1|x2", line)
    assert line.endswith("api_key_env=SHOP_KEY input_tokens=5")


def test_a_record_that_cannot_be_shown_is_still_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    configure(0)
    log.warning("see %s", Broken(), extra={"fields": {"b": Broken(), "s": "\ud800"}})
    log.warning("fields are no table", extra={"fields": 5})
    first, second = err(capsys)
    assert "b=<Broken>" in first
    assert second.endswith("fields are no table")


def test_long_values_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    configure(0)
    log.warning("x" * 1_000_000)
    (line,) = err(capsys)
    assert len(line) < 9_000
    assert line.endswith("(1,000,000 characters)")


values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters()), st.dictionaries(st.text(st.characters(), max_size=5), values, max_size=3), st.booleans()
)
def test_any_event_is_one_line(
    capsys: pytest.CaptureFixture[str], message: str, fields: dict[str, Any], as_json: bool
) -> None:
    configure(0, json=as_json)
    log.warning(message.replace("%", ""), extra={"fields": fields})
    text = capsys.readouterr().err
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1
    if as_json:
        assert json.loads(text)["level"] == "warning"


def test_a_secret_that_begins_with_another_is_hidden_whole() -> None:
    assert Redactor(["abcdef", "abcdef-tail"]).clean("it is abcdef-tail.") == f"it is {HIDDEN}."


@pytest.mark.parametrize("as_json", [False, True])
def test_where_content_is_hidden_exceptions_are_told_without_their_words(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    configure(2, json=as_json)
    hide_content()
    words = " ".join(["dear", "diary"])  # source lines may be shown
    try:
        try:
            _fail(ValueError(words))
        except ValueError as error:
            raise RuntimeError(words) from error
    except RuntimeError as error:
        log.exception("failed")
        crash = crash_text(error)
    for shown in (capsys.readouterr().err, crash):
        assert words not in shown
        assert "ValueError: [hidden]" in shown
        assert "in _fail" in shown


def test_where_content_is_hidden_quoted_words_and_repeated_exceptions_are_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(0)
    log.warning("%s said %s", "x", Quoted("dear diary"))
    hide_content()
    log.warning("%s said %s", "y", Quoted("dear diary"))
    log.warning("%d said %s", "z", Quoted("dear diary"))
    logging.getLogger("asyncio").error("never retrieved\nfuture: <Task exception=ValueError('dear diary')>")
    first, *rest = err(capsys)
    assert first.endswith("x said dear diary")
    assert rest[0].endswith("y said [hidden]")
    assert rest[2].endswith("never retrieved")
    assert "diary" not in "".join(rest)


def test_an_app_of_its_own_tells_the_logs_its_keys(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The command line sets logging up; the app that a worker loads has the accounts."""
    configure(0)
    (tmp_path / "key").write_text(CANARY)
    account = {"provider": "openai", "api_key_file": str(tmp_path / "key")}
    Laneway(Config.model_validate({"accounts": {"main": account}}), env={}).catalog.account("main")
    log.warning("it is %s", CANARY)
    (line,) = err(capsys)
    assert line.endswith("it is [hidden]")


def test_lines_say_what_the_work_in_hand_is(capsys: pytest.CaptureFixture[str]) -> None:
    configure(1, json=True, secrets=[CANARY])

    def work() -> None:
        ABOUT.set({"task": 17, "account": f"main {CANARY}"})
        log.info("called", extra={"fields": {"task": 18}})

    copy_context().run(work)
    log.info("outside")
    inside, outside = (json.loads(line) for line in err(capsys))
    assert (inside["task"], inside["account"]) == (18, f"main {HIDDEN}"), "a line's own fields go first"
    assert "task" not in outside
