"""Who may use the hub: people of the coordination, and their personal tokens."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from federation.db import db
from shared.store.account_tables import (
    AccountColumns,
    ApiTokenColumns,
    LinkColumns,
    LoginColumns,
    RecoveryCodeColumns,
    WrongPasswordColumns,
)


class Account(AccountColumns, db.Model):
    pass


class Login(LoginColumns, db.Model):
    pass


class ApiToken(ApiTokenColumns, db.Model):
    pass


class Link(LinkColumns, db.Model):
    pass


class RecoveryCode(RecoveryCodeColumns, db.Model):
    pass


class WrongPassword(WrongPasswordColumns, db.Model):
    pass


class UsedAssertion(db.Model):
    """A client assertion's id; kept until the assertion expires, so that it works once."""

    node_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    jti: Mapped[str] = mapped_column(String(128), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
