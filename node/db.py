"""A node's database."""

from flask_sqlalchemy import SQLAlchemy

from shared.db import Base, new_metadata


class NodeBase(Base):
    __abstract__ = True
    metadata = new_metadata()


db = SQLAlchemy(model_class=NodeBase)
