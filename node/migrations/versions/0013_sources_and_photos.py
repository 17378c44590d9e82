"""other tools of a space, and what they brought; photos"""

import sqlalchemy as sa
from alembic import op

revision = '0013'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('space_source',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('space_id', sa.String(64), nullable=False),
    sa.Column('adapter', sa.String(60), nullable=False),
    sa.Column('name', sa.String(120), nullable=False),
    sa.Column('url', sa.String(500), nullable=False),
    sa.Column('open_to', sa.String(12), nullable=False),
    sa.Column('state', sa.String(8), nullable=False),
    sa.Column('etag', sa.String(300), nullable=False),
    sa.Column('modified', sa.String(60), nullable=False),
    sa.Column('basis', sa.String(64), nullable=False),
    sa.Column('tried_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('read_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('fault', sa.String(400), nullable=False),
    sa.Column('fault_since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('left_out', sa.JSON(), nullable=False),
    sa.Column('days', sa.JSON(), nullable=False),
    sa.Column('prices', sa.JSON(), nullable=False),
    sa.CheckConstraint("state IN ('new', 'active', 'paused')", name=op.f('ck_space_source_state')),
    sa.CheckConstraint("open_to IN ('everyone', 'subscribers')", name=op.f('ck_space_source_open_to')),
    sa.ForeignKeyConstraint(['space_id'], ['space.id'], name=op.f('fk_space_source_space_id_space'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_space_source')),
    sa.UniqueConstraint('space_id', 'adapter', 'url', name=op.f('uq_space_source_space_id_adapter_url'))
    )
    op.create_index('ix_space_source_state', 'space_source', ['state', 'tried_at'])
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('source_id', sa.Integer(), nullable=True))
        batch_op.create_foreign_key(op.f('fk_event_source_id_space_source'), 'space_source', ['source_id'], ['id'], ondelete='SET NULL')
        batch_op.create_index(op.f('ix_event_source_id'), ['source_id'])
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.add_column(sa.Column('imported', sa.JSON(), nullable=True))
    op.create_table('photo',
    sa.Column('id', sa.String(32), nullable=False),
    sa.Column('space_id', sa.String(64), nullable=False),
    sa.Column('place', sa.Integer(), nullable=False),
    sa.Column('alt_fr', sa.String(300), nullable=False),
    sa.Column('alt_en', sa.String(300), nullable=False),
    sa.Column('credit', sa.String(120), nullable=False),
    sa.Column('width', sa.Integer(), nullable=False),
    sa.Column('height', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('width > 0 AND height > 0', name=op.f('ck_photo_size')),
    sa.ForeignKeyConstraint(['space_id'], ['space.id'], name=op.f('fk_photo_space_id_space'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_photo'))
    )
    op.create_index(op.f('ix_photo_space_id'), 'photo', ['space_id'])


def downgrade() -> None:
    op.drop_table('photo')
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.drop_column('imported')
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.drop_index(op.f('ix_event_source_id'))
        batch_op.drop_constraint(op.f('fk_event_source_id_space_source'), type_='foreignkey')
        batch_op.drop_column('source_id')
    op.drop_table('space_source')
