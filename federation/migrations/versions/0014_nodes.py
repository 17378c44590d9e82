"""nodes: pauses of the harvest, what nodes say of themselves, who asks to join, silence told"""

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('node', schema=None) as batch_op:
        batch_op.add_column(sa.Column('harvest_failures', sa.Integer(), nullable=False, server_default=sa.text('0')))
        batch_op.add_column(sa.Column('harvest_due_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('silence_told_at', sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table('node_mark', schema=None) as batch_op:
        batch_op.add_column(sa.Column('version', sa.String(40), nullable=True))
        batch_op.add_column(sa.Column('outbox_pending', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('outbox_dead', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('skew', sa.Integer(), nullable=True))
    with op.batch_alter_table('invitation', schema=None) as batch_op:
        batch_op.add_column(sa.Column('email', sa.String(254), nullable=True))
    op.create_table(
        'join_request',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('operator', sa.String(120), nullable=False),
        sa.Column('person', sa.String(120), nullable=False),
        sa.Column('email', sa.String(254), nullable=False),
        sa.Column('url', sa.String(300), nullable=False),
        sa.Column('words', sa.String(2000), nullable=False),
        sa.Column('state', sa.String(10), nullable=False),
        sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('checks', sa.JSON(), nullable=True),
        sa.Column('checked_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('decided_by', sa.Integer(), nullable=True),
        sa.Column('answer', sa.String(1000), nullable=False),
        sa.Column('invitation_id', sa.Integer(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'admitted', 'declined')", name=op.f('ck_join_request_state')),
        sa.CheckConstraint("(state = 'waiting') = (decided_at IS NULL)", name=op.f('ck_join_request_decided')),
        sa.CheckConstraint("(state = 'admitted') = (invitation_id IS NOT NULL)", name=op.f('ck_join_request_invited')),
        sa.ForeignKeyConstraint(['decided_by'], ['account.id'], name=op.f('fk_join_request_decided_by_account')),
        sa.ForeignKeyConstraint(['invitation_id'], ['invitation.id'], name=op.f('fk_join_request_invitation_id_invitation')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_join_request')),
        sa.UniqueConstraint('invitation_id', name=op.f('uq_join_request_invitation_id')),
    )
    op.create_index(
        'uq_join_request_waiting',
        'join_request',
        ['email', 'operator'],
        unique=True,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )


def downgrade() -> None:
    op.drop_table('join_request')
    with op.batch_alter_table('invitation', schema=None) as batch_op:
        batch_op.drop_column('email')
    with op.batch_alter_table('node_mark', schema=None) as batch_op:
        for name in ('skew', 'outbox_dead', 'outbox_pending', 'version'):
            batch_op.drop_column(name)
    with op.batch_alter_table('node', schema=None) as batch_op:
        for name in ('silence_told_at', 'harvest_due_at', 'harvest_failures'):
            batch_op.drop_column(name)
