"""what nodes tell to find out who forgot something; addresses they have left"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('node_mark',
    sa.Column('node_id', sa.String(64), nullable=False),
    sa.Column('mark', sa.String(50), nullable=False),
    sa.Column('heard_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('behind', sa.String(4), nullable=True),
    sa.Column('jumped_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('jumps', sa.Integer(), nullable=False),
    sa.Column('jumps_since', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("behind IN ('hub', 'node')", name=op.f('ck_node_mark_behind')),
    sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_node_mark_node_id_node')),
    sa.PrimaryKeyConstraint('node_id', name=op.f('pk_node_mark'))
    )
    op.create_table('former_url',
    sa.Column('url', sa.String(300), nullable=False),
    sa.Column('node_id', sa.String(64), nullable=False),
    sa.Column('left_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_former_url_node_id_node')),
    sa.PrimaryKeyConstraint('url', name=op.f('pk_former_url'))
    )
    op.create_index(op.f('ix_former_url_node_id'), 'former_url', ['node_id'])
    with op.batch_alter_table('pass', schema=None) as batch_op:
        batch_op.add_column(sa.Column('changes', sa.Integer(), nullable=False, server_default=sa.text('0')))
        batch_op.add_column(sa.Column('number', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('pass', schema=None) as batch_op:
        batch_op.drop_column('expires_at')
        batch_op.drop_column('number')
        batch_op.drop_column('changes')
    op.drop_index(op.f('ix_former_url_node_id'), 'former_url')
    op.drop_table('former_url')
    op.drop_table('node_mark')
