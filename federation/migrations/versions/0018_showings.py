"""showings in full: the whole SHA-256 of what a phone signed"""

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('visit', schema=None) as batch_op:
        batch_op.alter_column('proof', existing_type=sa.String(length=32), type_=sa.String(length=64), existing_nullable=False)


def downgrade():
    with op.batch_alter_table('visit', schema=None) as batch_op:
        batch_op.alter_column('proof', existing_type=sa.String(length=64), type_=sa.String(length=32), existing_nullable=False)
