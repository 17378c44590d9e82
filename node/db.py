"""A node's database."""

from typing import TYPE_CHECKING

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from shared.store.db import new_registry


class NodeBase(DeclarativeBase):
    registry = new_registry()


db = SQLAlchemy(model_class=NodeBase)

if TYPE_CHECKING:
    Model = NodeBase
else:
    Model = db.Model  # the same to a type checker, which cannot follow how it is made
