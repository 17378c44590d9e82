"""proposals and votes"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

STATES = "state IN ('open', 'rejected', 'withdrawn', 'adopted', 'in_force', 'past')"
CURRENT = "state IN ('in_force', 'open', 'adopted')"


def upgrade() -> None:
    op.drop_index('uq_charter_version_in_force', 'charter_version')
    with op.batch_alter_table('charter_version', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_charter_version_state'), type_='check')
        batch_op.add_column(sa.Column('number', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('argument', sa.Text(), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('proposed_by', sa.String(64), nullable=True))
        for name in ('opened_at', 'closed_at', 'effective_at'):
            batch_op.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('outcome', sa.JSON(), nullable=True))
        batch_op.alter_column('adopted_at', existing_type=sa.DateTime(timezone=True), nullable=True)
        batch_op.create_check_constraint(op.f('ck_charter_version_state'), STATES)
        batch_op.create_check_constraint(
            op.f('ck_charter_version_effective'), "state <> 'adopted' OR effective_at IS NOT NULL"
        )
        batch_op.create_foreign_key(
            op.f('fk_charter_version_proposed_by_node'), 'node', ['proposed_by'], ['id']
        )
    op.execute('UPDATE charter_version SET number = CAST(version AS INTEGER), effective_at = adopted_at')
    with op.batch_alter_table('charter_version', schema=None) as batch_op:
        batch_op.alter_column('number', existing_type=sa.Integer(), nullable=False)
        batch_op.alter_column('argument', existing_type=sa.Text(), server_default=None)
        batch_op.create_unique_constraint(op.f('uq_charter_version_number'), ['number'])
    op.create_index(
        'uq_charter_version_in_force', 'charter_version', ['state'], unique=True,
        sqlite_where=sa.text(CURRENT), postgresql_where=sa.text(CURRENT),
    )
    op.create_table('ballot',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('version', sa.String(20), sa.ForeignKey('charter_version.version', name=op.f('fk_ballot_version_charter_version')), nullable=False),
    sa.Column('node_id', sa.String(64), sa.ForeignKey('node.id', name=op.f('fk_ballot_node_id_node')), nullable=False),
    sa.Column('sha256', sa.String(64), nullable=False),
    sa.Column('choice', sa.String(7), nullable=False),
    sa.Column('reason', sa.String(2000), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("choice IN ('yes', 'no', 'abstain')", name=op.f('ck_ballot_choice')),
    sa.CheckConstraint("choice <> 'no' OR reason <> ''", name=op.f('ck_ballot_reason')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ballot'))
    )
    op.create_index(op.f('ix_ballot_version'), 'ballot', ['version'])


def downgrade() -> None:
    op.drop_table('ballot')
    op.drop_index('uq_charter_version_in_force', 'charter_version')
    op.execute("DELETE FROM charter_version WHERE state NOT IN ('in_force', 'past')")
    with op.batch_alter_table('charter_version', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('fk_charter_version_proposed_by_node'), type_='foreignkey')
        batch_op.drop_constraint(op.f('uq_charter_version_number'), type_='unique')
        batch_op.drop_constraint(op.f('ck_charter_version_effective'), type_='check')
        batch_op.drop_constraint(op.f('ck_charter_version_state'), type_='check')
        for name in ('number', 'argument', 'proposed_by', 'opened_at', 'closed_at', 'effective_at', 'outcome'):
            batch_op.drop_column(name)
        batch_op.alter_column('adopted_at', existing_type=sa.DateTime(timezone=True), nullable=False)
        batch_op.create_check_constraint(op.f('ck_charter_version_state'), "state IN ('in_force', 'past')")
    op.create_index(
        'uq_charter_version_in_force', 'charter_version', ['state'], unique=True,
        sqlite_where=sa.text("state = 'in_force'"), postgresql_where=sa.text("state = 'in_force'"),
    )
