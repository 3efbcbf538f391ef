"""Runs, flows, triage and the audit log in a browser."""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Page, expect

from laneway.app.settings import open_store
from tests.dashboard.browsing import Look, check_all
from tests.dashboard.conftest import Site
from tests.dashboard.filling import EVIL, Filled, fill
from tests.server.served import CONFIG


@pytest.fixture(scope="module")
def config() -> str:
    priced = CONFIG.replace('id = "gpt-4o-mini"', 'id = "gpt-4o-mini"\ninput_price = 0.15\noutput_price = 0.6')
    return priced.replace('id = "gpt-4o"\n', 'id = "gpt-4o"\ninput_price = 2.5\noutput_price = 10\n')


@pytest.fixture(scope="module")
def filled(site: Site) -> Filled:
    async def put() -> Filled:
        store = open_store(f"sqlite:///{site.desk.folder / '.laneway' / 'laneway.db'}")
        try:
            return await fill(store, time.time())
        finally:
            await store.close()

    with ThreadPoolExecutor(1) as thread:  # Playwright's own loop runs on this one
        return thread.submit(asyncio.run, put()).result()


def figure(page: Page, name: str) -> str:
    return page.locator("dt", has_text=name).first.locator("xpath=following-sibling::dd[1]").inner_text()


def test_all_of_them_in_all_widths_and_colours(look: Look, filled: Filled) -> None:
    for path, name in (
        ("/runs", "runs"),
        (f"/runs/{filled.run}", "run"),
        ("/flows", "flows"),
        (f"/flows/{filled.flow}", "flow"),
        ("/triage", "triage"),
        ("/audit", "audit"),
    ):
        check_all(look, path, name)


def test_runs_lead_to_one_and_to_its_failures(look: Look, filled: Filled) -> None:
    with look.page("/runs") as page:
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"Run {filled.run}", exact=True))
        expect(row).to_contain_text(re.compile("2[2-9] of 40 tasks"))  # a worker sees a pause within a second
        expect(row).to_contain_text("of $5.00")
        page.get_by_role("link", name=f"Run {filled.run}", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Run {filled.run}")
        assert figure(page, "Failed") == "6"
        expect(page.get_by_text("too many <b>requests</b>")).to_be_visible()
        expect(page.get_by_text(EVIL)).to_be_visible()
        page.get_by_role("link", name="rate_limit_exceeded").click()
        expect(page).to_have_url(f"{look.url}/failures?run={filled.run}&class=transient&code=rate_limit_exceeded")


def test_a_run_goes_on_and_is_cancelled_and_the_page_says_so_without_a_reload(
    look: Look, site: Site, filled: Filled
) -> None:
    with look.page(f"/runs/{filled.run}") as page:
        page.evaluate("window.stays = true")
        expect(page.get_by_text("It is paused.")).to_be_visible()
        page.get_by_role("button", name="Resume").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        expect(page.get_by_role("status")).to_contain_text("It goes on.")
        expect(page.get_by_text("ended", exact=True).first).to_be_visible(timeout=30_000)
        assert page.evaluate("window.stays")
        assert figure(page, "Ended").startswith("40")


def test_cancelling_says_first_what_it_is_about(look: Look, site: Site, filled: Filled) -> None:
    with look.page("/runs") as page:
        page.get_by_role("row").filter(has_text="reports").get_by_role("link").click()
        sure = page.locator("details.sure")
        sure.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(sure).to_contain_text("1 task of this run has not ended")
        sure.get_by_role("button", name="Cancel 1 task").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("being cancelled")
        expect(page.get_by_text("Nothing is left to do.")).to_be_visible()
        page.goto(f"{look.url}/audit")
        expect(page.get_by_role("row").filter(has_text="tasks.cancel").first).to_contain_text("local")


def test_a_flow_is_a_tree_that_opens_and_stays_open(look: Look, site: Site, filled: Filled) -> None:
    with look.page(f"/flows/{filled.flow}") as page:
        tree = page.locator("ul.tree")
        expect(tree.get_by_role("link", name="letter").first).to_be_visible()
        expect(tree).to_contain_text("and 10")
        expect(page.get_by_text("document.title=2")).to_be_visible()
        assert "monday" in page.title()
        top = tree.locator("details").first
        top.locator("summary").first.press("Enter")
        expect(top).not_to_have_attribute("open", "")
        with page.expect_response(f"**/ui/flows/{filled.flow}/live"):
            page.evaluate("htmx.trigger('#changes', 'changed')")
        expect(top).not_to_have_attribute("open", "")


def test_triage_tells_where_work_went_and_what_decided_it(look: Look, filled: Filled) -> None:
    with look.page("/triage") as page:
        expect(page.get_by_role("row").filter(has_text="small").first).to_contain_text("50 %")
        expect(page.get_by_role("row").filter(has_text="Lane")).to_contain_text("rules")
        expect(page.get_by_text("invoice").first).to_be_visible()


def test_the_audit_log_shows_who_did_what(look: Look, filled: Filled) -> None:
    with look.page("/audit") as page:
        expect(page.get_by_role("row").filter(has_text="tasks.retry")).to_contain_text(EVIL)
        expect(page.get_by_role("row").filter(has_text="ann")).to_contain_text("run.resume")
