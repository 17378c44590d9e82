"""The hub's database."""

from typing import TYPE_CHECKING

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from shared.store.db import new_registry


class HubBase(DeclarativeBase):
    registry = new_registry()


db = SQLAlchemy(model_class=HubBase)

if TYPE_CHECKING:
    Model = HubBase
else:
    Model = db.Model  # the same to a type checker, which cannot follow how it is made
