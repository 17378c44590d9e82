"""what happens at the spaces"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('event',
    sa.Column('id', sa.String(32), nullable=False),
    sa.Column('space_id', sa.String(64), sa.ForeignKey('space.id', name=op.f('fk_event_space_id_space'), ondelete='CASCADE'), nullable=False),
    sa.Column('title', sa.String(120), nullable=False),
    sa.Column('description', sa.String(2000), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('place', sa.String(200), nullable=False),
    sa.Column('url', sa.String(300), nullable=False),
    sa.Column('open_to', sa.String(12), nullable=False),
    sa.Column('cancelled', sa.Boolean(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("open_to IN ('everyone', 'subscribers')", name=op.f('ck_event_open_to')),
    sa.CheckConstraint("ends_at > starts_at", name=op.f('ck_event_span')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_event'))
    )
    op.create_index('ix_event_space_ends', 'event', ['space_id', 'ends_at'])


def downgrade() -> None:
    op.drop_table('event')
