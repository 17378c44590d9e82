"""the open feeds"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('feed_item',
    sa.Column('feed', sa.String(20), nullable=False),
    sa.Column('item_id', sa.String(140), nullable=False),
    sa.Column('change', sa.BigInteger(), nullable=False),
    sa.Column('data', sa.JSON(), nullable=True),
    sa.CheckConstraint('change > 0', name=op.f('ck_feed_item_change')),
    sa.PrimaryKeyConstraint('feed', 'item_id', name=op.f('pk_feed_item'))
    )
    op.create_index('uq_feed_item_change', 'feed_item', ['feed', 'change'], unique=True)
    op.create_table('feed_counter',
    sa.Column('feed', sa.String(20), nullable=False),
    sa.Column('last', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('feed', name=op.f('pk_feed_counter'))
    )


def downgrade() -> None:
    op.drop_table('feed_counter')
    op.drop_table('feed_item')
