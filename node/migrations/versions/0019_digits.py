"""six digits in place of a camera, and where a card was shown"""

import sqlalchemy as sa
from alembic import op

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('pass', schema=None) as batch_op:
        batch_op.add_column(sa.Column('credential', sa.Text(), nullable=False, server_default=sa.text("''")))
    op.create_table(
        'card_showing',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('pass_id', sa.String(length=64), nullable=False),
        sa.Column('host', sa.String(length=64), nullable=False),
        sa.Column('space_id', sa.String(length=64), nullable=False),
        sa.Column('at', sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(['pass_id'], ['pass.id'], name=op.f('fk_card_showing_pass_id_pass'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_card_showing')),
    )
    op.create_index(op.f('ix_card_showing_pass_id'), 'card_showing', ['pass_id'])
    op.create_index(op.f('ix_card_showing_at'), 'card_showing', ['at'])
    op.create_table(
        'host_request',
        sa.Column('host', sa.String(length=64), nullable=False),
        sa.Column('jti', sa.String(length=64), nullable=False),
        sa.Column('at', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('host', 'jti', name=op.f('pk_host_request')),
    )
    op.create_index(op.f('ix_host_request_at'), 'host_request', ['at'])
    op.create_table(
        'door_code',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('pass_id', sa.String(length=64), nullable=False),
        sa.Column('space_id', sa.String(length=64), nullable=False),
        sa.Column('code_hash', sa.String(length=64), nullable=False),
        sa.Column('text', sa.Text(), nullable=False),
        sa.Column('until', sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(['pass_id'], ['pass.id'], name=op.f('fk_door_code_pass_id_pass'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_door_code')),
        sa.UniqueConstraint('pass_id', name=op.f('uq_door_code_pass_id')),
        sa.UniqueConstraint('code_hash', name=op.f('uq_door_code_code_hash')),
    )
    op.create_table(
        'wrong_door_code',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('host', sa.String(length=64), nullable=False),
        sa.Column('at', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_wrong_door_code')),
    )
    op.create_index(op.f('ix_wrong_door_code_host'), 'wrong_door_code', ['host'])


def downgrade() -> None:
    for name in ('wrong_door_code', 'door_code', 'host_request', 'card_showing'):
        op.drop_table(name)
    with op.batch_alter_table('pass', schema=None) as batch_op:
        batch_op.drop_column('credential')
