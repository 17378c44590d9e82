"""what a member tells a device's pass by"""

import sqlalchemy as sa
from alembic import op

revision = '0023'
down_revision = '0022'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('pass', schema=None) as batch_op:
        batch_op.add_column(sa.Column('device', sa.String(length=60), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    with op.batch_alter_table('pass', schema=None) as batch_op:
        batch_op.drop_column('device')
