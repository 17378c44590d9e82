"""when spaces and free places were written, so that every process finds what others wrote"""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ('space', 'availability'):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column('stamp', sa.BigInteger(), nullable=False, server_default=sa.text("0")))
            batch_op.create_index(batch_op.f(f'ix_{table}_stamp'), ['stamp'], unique=False)


def downgrade() -> None:
    for table in ('availability', 'space'):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_index(batch_op.f(f'ix_{table}_stamp'))
            batch_op.drop_column('stamp')
