"""What all pages have in common: the way around, live figures, colours, a strict CSP."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.dashboard.browsing import Look, check_all
from tests.dashboard.conftest import Site
from tests.server.served import CHAT


def test_figures_change_on_the_page_when_a_task_is_done_elsewhere(look: Look, site: Site) -> None:
    with look.page() as page:
        done = page.locator("dt", has_text="Succeeded").locator("xpath=following-sibling::dd")
        before = done.inner_text()
        page.evaluate("window.stays = true")
        assert site.served.ask("/chat/completions", CHAT)[0] == 200
        expect(done).not_to_have_text(before)
        assert page.evaluate("window.stays"), "without a reload"


def test_the_overview_in_all_widths_and_colours(look: Look) -> None:
    check_all(look, "/", "overview")


def test_colours_are_chosen_without_a_script_and_kept(look: Look) -> None:
    with look.page(java_script_enabled=False) as page:
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_keyboard_reaches_the_page_first(look: Look) -> None:
    with look.page() as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
