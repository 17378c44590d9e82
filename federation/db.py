"""The hub's database."""

from flask_sqlalchemy import SQLAlchemy

from shared.db import Base, new_metadata


class HubBase(Base):
    __abstract__ = True
    metadata = new_metadata()


db = SQLAlchemy(model_class=HubBase)
