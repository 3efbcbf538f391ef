"""Light, dark, or as the system has it: kept in a cookie, so that no script has to run before the page is drawn."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from laneway.server.bodies import pieces
from laneway.server.login import own_page

COOKIE = "laneway-theme"
THEMES = ("auto", "light", "dark")
KEPT_S = 400 * 86_400  # as long as browsers keep one at most
LARGEST = 8192  # bytes of the form


def theme_of(request: Request) -> str:
    chosen = request.cookies.get(COOKIE, "")
    return chosen if chosen in THEMES else "auto"


def themes_router() -> APIRouter:
    router = APIRouter()

    @router.post("/ui/theme")
    async def choose(request: Request) -> Response:
        content = b"".join([piece async for piece in pieces(request, LARGEST)])
        fields = {name: values[-1] for name, values in parse_qs(content.decode("utf-8", "replace")).items()}
        answer = RedirectResponse(own_page(fields.get("next", "/")), 303)
        theme = fields.get("theme", "")
        if theme in THEMES:
            answer.set_cookie(COOKIE, theme, max_age=KEPT_S, httponly=True, samesite="strict")
        return answer

    return router
