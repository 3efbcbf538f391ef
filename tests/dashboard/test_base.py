"""What all pages have in common: the way around, live figures, colours, a strict CSP."""

from __future__ import annotations

from playwright.sync_api import Route, expect

from tests.dashboard.browsing import Look, check_all
from tests.dashboard.conftest import Site
from tests.server.served import CHAT


def test_figures_change_on_the_page_when_a_task_is_done_elsewhere(look: Look, site: Site) -> None:
    with look.page() as page:
        expect(page.get_by_text("Nothing has been submitted yet")).to_be_visible()
        page.evaluate("window.stays = true")
        done = page.locator(".figure", has_text="Done").locator("dd")
        for n in ("1", "2"):
            assert site.served.ask("/chat/completions", CHAT)[0] == 200
            expect(done).to_contain_text(n)
        assert page.evaluate("window.stays"), "without a reload"


def test_a_refresh_is_one_request(look: Look, site: Site) -> None:
    with look.page() as page:
        page.wait_for_load_state("load")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.removeprefix(look.url)))
        for _ in range(2):
            with page.expect_response("**/ui/overview/live"):
                assert site.served.ask("/chat/completions", CHAT)[0] == 200
        figures = {url for url in asked if not url.startswith(("/static/", "/ui/changes"))}
        assert figures == {"/ui/overview/live"}


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


def test_htmx_begins_when_its_extension_is_there_however_late_that_comes(look: Look) -> None:
    with look.page("/lanes") as page:
        late: list[Route] = []
        page.route("**/hx-sse-*", lambda route: late.append(route))
        page.goto(look.url + "/workers", wait_until="commit")
        page.wait_for_function("window.htmx")
        page.evaluate("new Promise(setTimeout)")  # whatever htmx wants to do at once is done
        with page.expect_request("**/ui/changes"):
            late[0].continue_()
