"""the half-days of a booking, and the days on which the space closed since"""

import sqlalchemy as sa
from alembic import op

revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None


def upgrade():
    for name in ('booking', 'trip'):
        with op.batch_alter_table(name, schema=None) as batch_op:
            batch_op.add_column(sa.Column('half_days', sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
            batch_op.add_column(sa.Column('closed', sa.JSON(), nullable=False, server_default=sa.text("'[]'")))


def downgrade():
    for name in ('booking', 'trip'):
        with op.batch_alter_table(name, schema=None) as batch_op:
            batch_op.drop_column('closed')
            batch_op.drop_column('half_days')
