"""leaving in order: the last day that a node announced"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('node', schema=None) as batch_op:
        batch_op.add_column(sa.Column('leaving_on', sa.Date(), nullable=True))
        batch_op.add_column(sa.Column('leaving_reason', sa.String(500), nullable=False, server_default=sa.text("''")))
        batch_op.add_column(sa.Column('leaving_announced_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('node', schema=None) as batch_op:
        batch_op.drop_column('leaving_announced_at')
        batch_op.drop_column('leaving_reason')
        batch_op.drop_column('leaving_on')
