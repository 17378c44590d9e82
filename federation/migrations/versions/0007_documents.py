"""publications by document, and availability"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('node', schema=None) as batch_op:
        batch_op.add_column(sa.Column('harvested_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('harvest_fault', sa.String(200), nullable=True))
    op.create_table('published_document',
    sa.Column('node_id', sa.String(64), nullable=False),
    sa.Column('name', sa.String(100), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('sha256', sa.String(64), nullable=True),
    sa.Column('body', sa.JSON(), nullable=True),
    sa.Column('accepted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('refused', sa.JSON(), nullable=True),
    sa.CheckConstraint('(sha256 IS NULL) = (accepted_at IS NULL)', name=op.f('ck_published_document_accepted')),
    sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_published_document_node_id_node')),
    sa.PrimaryKeyConstraint('node_id', 'name', name=op.f('pk_published_document'))
    )
    op.create_table('availability',
    sa.Column('space_id', sa.String(64), nullable=False),
    sa.Column('guest_places', sa.Integer(), nullable=False),
    sa.Column('guest_places_free', sa.Integer(), nullable=False),
    sa.Column('paused', sa.Boolean(), nullable=False),
    sa.Column('as_of', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('guest_places >= 0 AND guest_places_free >= 0', name=op.f('ck_availability_places')),
    sa.ForeignKeyConstraint(['space_id'], ['space.id'], name=op.f('fk_availability_space_id_space')),
    sa.PrimaryKeyConstraint('space_id', name=op.f('pk_availability'))
    )


def downgrade() -> None:
    op.drop_table('availability')
    op.drop_table('published_document')
    with op.batch_alter_table('node', schema=None) as batch_op:
        batch_op.drop_column('harvest_fault')
        batch_op.drop_column('harvested_at')
