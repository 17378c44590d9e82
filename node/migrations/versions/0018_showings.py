"""every code that was good at the door, the hub's receipts, and what it holds"""

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('visit', schema=None) as batch_op:
        batch_op.drop_index('ix_visit_proof')
        batch_op.drop_column('proof')
        batch_op.add_column(sa.Column('held', sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column('receipt', sa.Text(), nullable=False, server_default=sa.text("''")))
    op.create_table(
        'showing',
        sa.Column('showing', sa.String(length=64), nullable=False),
        sa.Column('visit_id', sa.String(length=32), nullable=False),
        sa.Column('at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('waits', sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(['visit_id'], ['visit.id'], name=op.f('fk_showing_visit_id_visit')),
        sa.PrimaryKeyConstraint('showing', name=op.f('pk_showing')),
    )
    op.create_index('ix_showing_at', 'showing', ['at'])
    op.create_index('ix_showing_waits', 'showing', ['at'], sqlite_where=sa.text('waits = 1'), postgresql_where=sa.text('waits'))


def downgrade() -> None:
    op.drop_table('showing')
    with op.batch_alter_table('visit', schema=None) as batch_op:
        batch_op.drop_column('receipt')
        batch_op.drop_column('held')
        batch_op.add_column(sa.Column('proof', sa.String(length=32), nullable=False, server_default=''))
        batch_op.create_index('ix_visit_proof', ['proof'], unique=False)
