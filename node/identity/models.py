"""Who may use the node: its admins, its desk, its members."""

from node.db import Model
from shared.store.account_tables import (
    AccountColumns,
    ApiTokenColumns,
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


class RecoveryCode(RecoveryCodeColumns, Model):
    pass


class WrongPassword(WrongPasswordColumns, Model):
    pass
