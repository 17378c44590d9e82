"""keys: why one was withdrawn, addresses that wait, the signed trust list and what changes it"""

import sqlalchemy as sa
from alembic import op

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('node_key', schema=None) as batch_op:
        batch_op.add_column(sa.Column('withdrawn_reason', sa.String(300), nullable=False, server_default=sa.text("''")))
    op.create_table(
        'url_change',
        sa.Column('node_id', sa.String(64), nullable=False),
        sa.Column('url', sa.String(300), nullable=False),
        sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_url_change_node_id_node')),
        sa.PrimaryKeyConstraint('node_id', name=op.f('pk_url_change')),
    )
    op.create_table(
        'trust_list',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('token', sa.Text(), nullable=False),
        sa.Column('etag', sa.String(64), nullable=False),
        sa.Column('kid', sa.String(64), nullable=False),
        sa.Column('hub_url', sa.String(300), nullable=False),
        sa.Column('signed_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint('id = 1', name=op.f('ck_trust_list_one_row')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_trust_list')),
    )
    op.create_table(
        'trust_change',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('minor', sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_trust_change')),
    )


def downgrade() -> None:
    op.drop_table('trust_change')
    op.drop_table('trust_list')
    op.drop_table('url_change')
    with op.batch_alter_table('node_key', schema=None) as batch_op:
        batch_op.drop_column('withdrawn_reason')
