"""Lanes, accounts, models, types and workers in a browser: what they show, and pausing by keyboard alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.dashboard.browsing import PHONE, Look, check, check_all
from tests.dashboard.conftest import Site
from tests.server.served import CHAT, CONFIG

EVIL = "<b onmouseover=alert(1)>a/b?&#"


@pytest.fixture(scope="module")
def config() -> str:
    return (
        CONFIG.replace("[models.small]", "requests_per_minute = 600\n[models.small]")
        + "[lanes.legal]\nconcurrency = 2\n"
    )


@pytest.fixture(scope="module", autouse=True)
def _done(site: Site) -> None:
    assert site.served.ask("/chat/completions", CHAT)[0] == 200
    for lane in ("legal", EVIL):
        assert site.served.ask("/chat/completions", CHAT, X_Laneway_Lane=lane)[0] == 200


def press_until(page: Page, name: str) -> None:
    """Go to the button of this name by Tab alone, and press it."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText").replace("\n", " ") == name:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", "the focus is seen"
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"Tab never came to {name!r}")


@pytest.mark.parametrize(
    "path", ["/lanes", "/lanes/legal", "/accounts", "/accounts/main", "/models", "/types", "/workers"]
)
def test_a_page_in_all_widths_and_colours(look: Look, path: str) -> None:
    check_all(look, path, path.strip("/").replace("/", "-"))


def test_a_lane_is_paused_and_resumed_by_keyboard_alone(look: Look, site: Site) -> None:
    with look.page("/lanes") as page:
        press_until(page, "Pause lane legal")
        expect(page.get_by_role("status")).to_contain_text("Lane legal is paused")
        resume = page.get_by_role("button", name="Resume lane legal")
        expect(resume).to_be_focused()
        assert [one["name"] for one in site.desk.run("status", "--json").json["paused"]] == ["legal"]
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Pause lane legal")).to_be_focused()
        assert site.desk.run("status", "--json").json["paused"] == []


def test_a_pause_from_elsewhere_is_seen_without_a_reload(look: Look, site: Site) -> None:
    with look.page("/lanes", size=PHONE) as page:
        site.desk.run("pause", "lane", "general")
        expect(page.get_by_role("button", name="Resume lane general")).to_be_visible()
        site.desk.run("resume", "lane", "general")
        expect(page.get_by_role("button", name="Pause lane general")).to_be_visible()


def test_a_lanes_name_is_only_a_name(look: Look) -> None:
    with look.page("/lanes") as page:
        row = page.get_by_role("row").filter(has_text=EVIL)
        row.get_by_role("button", name="Pause").click()
        expect(row.get_by_role("button", name="Resume")).to_be_visible()
        row.get_by_role("button", name="Resume").click()
        expect(row.get_by_role("button", name="Pause")).to_be_visible()


def test_an_account_is_paused_without_any_script(look: Look) -> None:
    with look.page("/accounts", java_script_enabled=False) as page:
        page.get_by_role("button", name="Pause account main").click()
        page.get_by_role("button", name="Resume account main").click()
        expect(page.get_by_role("button", name="Pause account main")).to_be_visible()


def test_figures_of_types_and_models_are_there_after_a_task(look: Look) -> None:
    with look.page("/types") as page:
        expect(page.get_by_role("row").filter(has_text="chat")).to_be_visible()
    with look.page("/models") as page:
        expect(page.get_by_role("row").filter(has_text="gpt-4o-mini")).to_be_visible()


def test_a_lanes_limit_is_changed_by_keyboard_while_the_page_goes_on_living(look: Look, site: Site) -> None:
    with look.page("/lanes/legal") as page:
        field = page.get_by_role("spinbutton", name="Calls at once")
        field.focus()
        page.keyboard.type("7")
        site.desk.run("pause", "lane", "legal")
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        expect(field).to_have_value("7")
        expect(field).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("The limits of lane legal are set")
        expect(page.get_by_text("Set by local")).to_be_visible()
        field.fill("0")
        assert not field.evaluate("field => field.checkValidity()"), "the browser says so first"
        field.fill("")
        page.get_by_role("button", name="Set").click()
        expect(page.get_by_text("Set by local")).not_to_be_visible()
        expect(field).to_have_attribute("placeholder", "2")
        site.desk.run("resume", "lane", "legal")


def test_an_accounts_limit_cannot_be_raised_above_the_configs(look: Look) -> None:
    with look.page("/accounts/main") as page:
        page.get_by_role("spinbutton", name="Requests a minute").fill("9000")
        page.get_by_role("button", name="Set").click()
        expect(page.get_by_role("status")).to_contain_text("it can only be lowered here")
        page.get_by_role("spinbutton", name="Requests a minute").fill("300")
        page.get_by_role("button", name="Set").click()
        expect(page.get_by_text("Set by local")).to_be_visible()


def test_a_page_of_nothing_says_so(look: Look) -> None:
    with look.page("/lanes/nowhere") as page:
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        check(page, "not-found")


def test_the_page_says_when_it_is_not_told_of_changes_any_more(look: Look) -> None:
    with look.page("/workers") as page:
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        page.context.set_offline(True)
        page.evaluate("htmx.trigger(document.querySelector('#changes'), 'htmx:sse:close', {})")
        expect(page.get_by_text("Not connected")).to_be_visible()


def test_a_worker_is_drained_once_somebody_has_said_yes(look: Look, site: Site) -> None:
    process = site.desk.start("worker")
    questions: list[str] = []

    def yes(dialog: Dialog) -> None:
        questions.append(dialog.message)
        dialog.accept()

    with look.page("/workers") as page:
        page.once("dialog", yes)
        row = page.get_by_role("row").filter(has_text=f"process {process.pid}")
        row.get_by_role("button", name="Drain").click()
        expect(page.get_by_role("status")).to_contain_text("finishes what it has and ends")
        process.communicate(timeout=30)
        assert process.returncode == 0
        expect(row).to_have_count(0)
    assert questions[0].startswith("Drain this worker?")
