"""Who may use the node: its admins, its desk, its members."""

from node.db import db
from shared.store.account_tables import (
    AccountColumns,
    ApiTokenColumns,
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


class RecoveryCode(RecoveryCodeColumns, db.Model):
    pass


class WrongPassword(WrongPasswordColumns, db.Model):
    pass
