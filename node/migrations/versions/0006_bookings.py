"""places that are kept: bookings here, trips of our members"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

HOST_STATES = "'held', 'confirmed', 'waiting', 'cancelled', 'lapsed', 'arrived', 'no_show'"


def upgrade() -> None:
    op.create_table('booking',
    sa.Column('id', sa.String(32), nullable=False),
    sa.Column('space_id', sa.String(64), sa.ForeignKey('space.id', name=op.f('fk_booking_space_id_space')), nullable=False),
    sa.Column('room', sa.String(120), nullable=True),
    sa.Column('home_id', sa.String(64), nullable=False),
    sa.Column('member', sa.String(64), nullable=False),
    sa.Column('given_name', sa.String(60), nullable=False),
    sa.Column('plan', sa.String(12), nullable=False),
    sa.Column('passes', sa.JSON(), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.String(10), nullable=False),
    sa.Column('held_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reason', sa.String(300), nullable=False),
    sa.Column('late', sa.Boolean(), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('told', sa.Integer(), nullable=False),
    sa.Column('next_attempt_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.CheckConstraint(f"state IN ({HOST_STATES})", name=op.f('ck_booking_state')),
    sa.CheckConstraint("state <> 'held' OR held_until IS NOT NULL", name=op.f('ck_booking_held')),
    sa.CheckConstraint("ends_at > starts_at", name=op.f('ck_booking_span')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_booking'))
    )
    op.create_index('ix_booking_space_ends', 'booking', ['space_id', 'ends_at'])
    op.create_index('ix_booking_told', 'booking', ['told', 'revision'])
    op.create_table('trip',
    sa.Column('id', sa.String(32), nullable=False),
    sa.Column('member_id', sa.Integer(), sa.ForeignKey('member.id', name=op.f('fk_trip_member_id_member')), nullable=False),
    sa.Column('host_id', sa.String(64), nullable=False),
    sa.Column('space_id', sa.String(64), nullable=False),
    sa.Column('space_name', sa.String(120), nullable=False),
    sa.Column('room', sa.String(120), nullable=True),
    sa.Column('timezone', sa.String(40), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.String(10), nullable=False),
    sa.Column('wait', sa.Boolean(), nullable=False),
    sa.Column('held_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reason', sa.String(300), nullable=False),
    sa.Column('codes', sa.JSON(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('next_attempt_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.CheckConstraint(f"state IN ('asking', 'confirming', 'cancelling', {HOST_STATES}, 'refused')", name=op.f('ck_trip_state')),
    sa.CheckConstraint("ends_at > starts_at", name=op.f('ck_trip_span')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_trip'))
    )
    op.create_index(op.f('ix_trip_member_id'), 'trip', ['member_id'])
    op.create_index('ix_trip_due', 'trip', ['state', 'next_attempt_at'])


def downgrade() -> None:
    op.drop_table('trip')
    op.drop_table('booking')
