"""Tokens: how they are made and found again, what their owners may, and browsers that logged in with one."""
