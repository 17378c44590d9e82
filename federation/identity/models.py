"""Who may use the hub: people of the coordination, and their personal tokens."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from federation.db import Model
from shared.store.account_tables import (
    AccountColumns,
    ApiTokenColumns,
    LinkColumns,
    LoginColumns,
    RecoveryCodeColumns,
    WrongPasswordColumns,
)


class Account(AccountColumns, Model):
    pass


class Login(LoginColumns, Model):
    pass


class ApiToken(ApiTokenColumns, Model):
    pass


class Link(LinkColumns, Model):
    pass


class RecoveryCode(RecoveryCodeColumns, Model):
    pass


class WrongPassword(WrongPasswordColumns, Model):
    pass


class UsedAssertion(Model):
    """A client assertion's id; kept until the assertion expires, so that it works once."""

    node_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    jti: Mapped[str] = mapped_column(String(128), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
