"""Logging in with a browser: a token for a session."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from laneway.server.audit import Audit
from laneway.server.bodies import pieces
from laneway.server.envelopes import Refusal
from laneway.server.guard import cookie
from laneway.server.login_page import login_page
from laneway.server.tokens.sessions import COOKIE

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.server.tokens.keyring import Keyring

LARGEST = 8192  # bytes of the form


def login_router(lw: Laneway, keyring: Keyring) -> APIRouter:
    router = APIRouter()
    audit = Audit(lw)

    @router.get("/login")
    async def form(next: str = "/") -> Response:
        if await keyring.open():
            return RedirectResponse(own_page(next), 303)
        return HTMLResponse(login_page(own_page(next)))

    @router.post("/login")
    async def login(request: Request) -> Response:
        content = b"".join([piece async for piece in pieces(request, LARGEST)])
        fields = {name: values[-1] for name, values in parse_qs(content.decode("utf-8", "replace")).items()}
        place = own_page(fields.get("next", "/"))
        if await keyring.open():
            return RedirectResponse(place, 303)
        try:
            known = await keyring.owner(fields.get("token", "").strip(), _address(request))
        except Refusal as refusal:
            headers = {name: value for name, value in refusal.headers.items() if name == "retry-after"}
            return HTMLResponse(login_page(place, refusal.message), refusal.status, headers)
        held = await keyring.sessions.begin(known.name)
        await audit.record(known, "login", _address(request))
        answer = RedirectResponse(place, 303)
        answer.set_cookie(
            COOKIE,
            held,
            max_age=round(keyring.sessions.lasts),
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        if held := cookie(request.headers.get("cookie", ""), COOKIE):
            await keyring.sessions.end(held)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    return router


def own_page(place: str) -> str:
    """A page of this server; whoever sends somebody here may not send them on to another."""
    sound = place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable() and "\\" not in place
    return place if sound else "/"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
