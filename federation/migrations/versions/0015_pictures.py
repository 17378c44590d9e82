"""the pictures: sums of months, page views, replies, what homes asked of hosts"""

import sqlalchemy as sa
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'picture_sum',
        sa.Column('kind', sa.String(8), nullable=False),
        sa.Column('month', sa.String(7), nullable=False),
        sa.Column('state', sa.Integer(), nullable=False),
        sa.Column('body', sa.JSON(), nullable=False),
        sa.CheckConstraint("kind IN ('visits', 'account')", name=op.f('ck_picture_sum_kind')),
        sa.PrimaryKeyConstraint('kind', 'month', name=op.f('pk_picture_sum')),
    )
    op.create_table(
        'page_view',
        sa.Column('day', sa.Date(), nullable=False),
        sa.Column('kind', sa.String(5), nullable=False),
        sa.Column('subject', sa.String(120), nullable=False),
        sa.Column('times', sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('map', 'space', 'embed')", name=op.f('ck_page_view_kind')),
        sa.CheckConstraint('times > 0', name=op.f('ck_page_view_times')),
        sa.PrimaryKeyConstraint('day', 'kind', 'subject', name=op.f('pk_page_view')),
    )
    op.create_table(
        'picture_reply',
        sa.Column('node_id', sa.String(64), nullable=False),
        sa.Column('month', sa.String(7), nullable=False),
        sa.Column('text', sa.String(1000), nullable=False),
        sa.Column('said_at', sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_picture_reply_node_id_node')),
        sa.PrimaryKeyConstraint('node_id', 'month', name=op.f('pk_picture_reply')),
    )
    op.create_table(
        'picture_asked',
        sa.Column('home_id', sa.String(64), nullable=False),
        sa.Column('host_id', sa.String(64), nullable=False),
        sa.Column('month', sa.String(7), nullable=False),
        sa.Column('kept', sa.Integer(), nullable=False),
        sa.Column('refused', sa.Integer(), nullable=False),
        sa.Column('unanswered', sa.Integer(), nullable=False),
        sa.CheckConstraint('kept >= 0 AND refused >= 0 AND unanswered >= 0', name=op.f('ck_picture_asked_counts')),
        sa.ForeignKeyConstraint(['home_id'], ['node.id'], name=op.f('fk_picture_asked_home_id_node')),
        sa.ForeignKeyConstraint(['host_id'], ['node.id'], name=op.f('fk_picture_asked_host_id_node')),
        sa.PrimaryKeyConstraint('home_id', 'host_id', 'month', name=op.f('pk_picture_asked')),
    )


def downgrade() -> None:
    for table in ('picture_asked', 'picture_reply', 'page_view', 'picture_sum'):
        op.drop_table(table)
