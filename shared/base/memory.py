"""What a process remembers between requests: apart for each application."""

from __future__ import annotations

from typing import Generic, TypeVar

from flask import Flask, current_app

K = TypeVar("K")
V = TypeVar("V")
_KEY = "memory:"


class Memory(Generic[K, V]):
    """One for each thing that is remembered, made where its module is read.

    Several operators may share a process: what one application remembers, no other may see.
    """

    def here(self) -> dict[K, V]:
        """Return what the application of this request, job or command remembers."""
        found: dict[K, V] = current_app.extensions.setdefault(f"{_KEY}{id(self)}", {})
        return found


def forget_all(app: Flask) -> None:
    """Forget everything that an application remembers, as one does that is started again."""
    for key in [key for key in app.extensions if key.startswith(_KEY)]:
        del app.extensions[key]
