"""the coordination disputes all that a suspended host counts; visits are counted by day"""

import sqlalchemy as sa
from alembic import op

revision = '0022'
down_revision = '0021'
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    op.create_table('host_dispute',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('host_id', sa.String(64), nullable=False),
    sa.Column('reason', sa.String(500), nullable=False),
    sa.Column('state', sa.String(9), nullable=False),
    sa.Column('opened_at', INSTANT, nullable=False),
    sa.Column('due_at', INSTANT, nullable=True),
    sa.Column('decision', sa.String(500), nullable=True),
    sa.Column('decided_at', INSTANT, nullable=True),
    sa.CheckConstraint("state IN ('open', 'upheld', 'rejected')", name=op.f('ck_host_dispute_state')),
    sa.CheckConstraint("(state = 'open') = (decided_at IS NULL)", name=op.f('ck_host_dispute_decided')),
    sa.ForeignKeyConstraint(['host_id'], ['node.id'], name=op.f('fk_host_dispute_host_id_node')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_host_dispute'))
    )
    op.create_index('uq_host_dispute_open', 'host_dispute', ['host_id'], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
    with op.batch_alter_table('dispute') as batch_op:
        batch_op.add_column(sa.Column('of_host', sa.Integer(), nullable=True))
        batch_op.alter_column('month', existing_type=sa.String(7), nullable=True)
        batch_op.alter_column('node_id', existing_type=sa.String(64), nullable=True)
        batch_op.create_foreign_key(op.f('fk_dispute_of_host_host_dispute'), 'host_dispute', ['of_host'], ['id'])
        batch_op.create_check_constraint('by', '(node_id IS NULL) = (of_host IS NOT NULL)')
        batch_op.create_check_constraint('month', 'node_id IS NULL OR month IS NOT NULL')
        batch_op.create_unique_constraint(op.f('uq_dispute_of_host_visit_id'), ['of_host', 'visit_id'])
    op.create_index('ix_visit_day', 'visit', ['day'])


def downgrade() -> None:
    raise NotImplementedError('what was held of a host would be nobody’s')
