"""What this project calls of Flask-Babel, which says no types of its own."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from babel import Locale
from flask import Flask

class Babel:
    def __init__(
        self,
        app: Flask | None = ...,
        *,
        locale_selector: Callable[[], str | None] | None = ...,
        timezone_selector: Callable[[], str | None] | None = ...,
        default_translation_directories: str = ...,
        **options: Any,
    ) -> None: ...

def gettext(text: str, /, **values: Any) -> str: ...
def ngettext(one: str, many: str, count: int, /, **values: Any) -> str: ...
def lazy_gettext(text: str, /, **values: Any) -> str: ...
def get_locale() -> Locale | None: ...
def force_locale(locale: str) -> AbstractContextManager[None]: ...
