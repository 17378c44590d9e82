"""the half-days of a booking, and the days on which the space closed since"""

import sqlalchemy as sa
from alembic import op

revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ('booking', 'trip'):
        with op.batch_alter_table(name, schema=None) as batch_op:
            batch_op.add_column(sa.Column('half_days', sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
            batch_op.add_column(sa.Column('closed', sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
        with op.batch_alter_table(name, schema=None) as batch_op:
            for column in ('half_days', 'closed'):
                batch_op.alter_column(column, existing_type=sa.JSON(), server_default=None)


def downgrade() -> None:
    for name in ('booking', 'trip'):
        with op.batch_alter_table(name, schema=None) as batch_op:
            batch_op.drop_column('closed')
            batch_op.drop_column('half_days')
