"""what is remembered with the hub, reports to tell again, passes lost with a database"""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('memory',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('mark', sa.String(50), nullable=False),
    sa.Column('before', sa.String(50), nullable=True),
    sa.Column('renewed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('told', sa.Boolean(), nullable=False),
    sa.Column('compared_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('behind', sa.String(4), nullable=True),
    sa.Column('since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('found', sa.JSON(), nullable=True),
    sa.Column('copies', sa.Boolean(), nullable=False),
    sa.Column('move_fault', sa.JSON(), nullable=True),
    sa.Column('to_ask', sa.JSON(), nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_memory_one_row')),
    sa.CheckConstraint("behind IN ('hub', 'node')", name=op.f('ck_memory_behind')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_memory'))
    )
    op.create_table('lost_pass',
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('pass_id', sa.String(64), nullable=False),
    sa.Column('noted_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_lost_pass'))
    )
    with op.batch_alter_table('visit', schema=None) as batch_op:
        batch_op.add_column(sa.Column('report', sa.Text(), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    with op.batch_alter_table('visit', schema=None) as batch_op:
        batch_op.drop_column('report')
    op.drop_table('lost_pass')
    op.drop_table('memory')
