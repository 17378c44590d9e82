"""A node's database."""

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from shared.store.db import new_registry


class NodeBase(DeclarativeBase):
    registry = new_registry()


db = SQLAlchemy(model_class=NodeBase)
