"""issued months, disputes, checks of logs"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('statement',
    sa.Column('month', sa.String(7), nullable=False),
    sa.Column('state', sa.String(6), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('cutoff', sa.BigInteger(), nullable=False),
    sa.Column('charter', sa.String(20), sa.ForeignKey('charter_version.version', name=op.f('fk_statement_charter_charter_version')), nullable=False),
    sa.Column('nodes', sa.JSON(), nullable=False),
    sa.Column('carried', sa.JSON(), nullable=False),
    sa.Column('excluded', sa.JSON(), nullable=False),
    sa.Column('issued_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('final_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('issued', 'final')", name=op.f('ck_statement_state')),
    sa.CheckConstraint("state <> 'final' OR final_at IS NOT NULL", name=op.f('ck_statement_final')),
    sa.PrimaryKeyConstraint('month', name=op.f('pk_statement'))
    )
    op.create_table('dispute',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('month', sa.String(7), sa.ForeignKey('statement.month', name=op.f('fk_dispute_month_statement')), nullable=False),
    sa.Column('visit_id', sa.String(32), sa.ForeignKey('visit.id', name=op.f('fk_dispute_visit_id_visit')), nullable=False),
    sa.Column('node_id', sa.String(64), sa.ForeignKey('node.id', name=op.f('fk_dispute_node_id_node')), nullable=False),
    sa.Column('reason', sa.String(500), nullable=False),
    sa.Column('state', sa.String(9), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('decision', sa.String(500), nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('open', 'upheld', 'rejected', 'withdrawn')", name=op.f('ck_dispute_state')),
    sa.CheckConstraint("state = 'open' OR decided_at IS NOT NULL", name=op.f('ck_dispute_decided')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dispute'))
    )
    op.create_index(
        'uq_dispute_open_visit', 'dispute', ['visit_id'], unique=True,
        sqlite_where=sa.text("state = 'open'"), postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table('log_check',
    sa.Column('month', sa.String(7), nullable=False),
    sa.Column('node_id', sa.String(64), sa.ForeignKey('node.id', name=op.f('fk_log_check_node_id_node')), nullable=False),
    sa.Column('visits', sa.Integer(), nullable=False),
    sa.Column('sha256', sa.String(64), nullable=False),
    sa.Column('agrees', sa.Boolean(), nullable=False),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('month', 'node_id', name=op.f('pk_log_check'))
    )


def downgrade() -> None:
    op.drop_table('log_check')
    op.drop_table('dispute')
    op.drop_table('statement')
