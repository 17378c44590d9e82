"""E-mail in words: French first, and the same in English below, in one message."""

from __future__ import annotations

import re
from typing import Any

from flask import current_app
from flask_babel import force_locale

from charter.model import LANGUAGES

_BETWEEN = "\n\n" + "-" * 40 + "\n\n"


def letter(template: str, **facts: Any) -> tuple[str, str]:
    """Return subject and text: a template's first line is the subject, once for each language.

    Nothing is asked of a request: jobs write letters, too.
    """
    page = current_app.jinja_env.get_template(template)
    subjects, texts = [], []
    for language in LANGUAGES:
        with force_locale(language):
            subject, _, text = page.render(lang=language, **facts).strip().partition("\n")
        subjects.append(subject.strip())
        texts.append(re.sub(r"\n{3,}", "\n\n", text).strip())
    return " / ".join(subjects), _BETWEEN.join(texts)


def quoted(text: str, most: int = 1000) -> str:
    """Return somebody's words as mail quotes them, and no more than so many characters."""
    if len(text) > most:
        text = text[:most].rsplit(" ", 1)[0] + " […]"
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
