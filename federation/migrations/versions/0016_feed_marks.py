"""the feeds are brought up to date with what changed, and forget what has been gone for long"""

import sqlalchemy as sa
from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('feed_item', schema=None) as batch_op:
        batch_op.add_column(sa.Column('space_id', sa.String(64), nullable=False, server_default=sa.text("''")))
        batch_op.add_column(sa.Column('changed_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index('ix_feed_item_space', ['space_id'], unique=False)
    # An event's id is its space's, a colon, and its own.
    colon = 'instr' if op.get_bind().dialect.name == 'sqlite' else 'strpos'
    op.execute(
        f"UPDATE feed_item SET changed_at = CURRENT_TIMESTAMP, space_id = CASE WHEN feed = 'events' "
        f"THEN substr(item_id, 1, {colon}(item_id, ':') - 1) ELSE item_id END"
    )
    op.execute("UPDATE feed_item SET data = NULL WHERE CAST(data AS VARCHAR(9)) = 'null'")
    # A feed begins with the end of something that never was.
    op.execute(
        "INSERT INTO feed_item (feed, item_id, space_id, change, changed_at) "
        "SELECT feed, 'beginning', '', last + 1, CURRENT_TIMESTAMP FROM feed_counter"
    )
    op.execute('UPDATE feed_counter SET last = last + 1')
    op.create_table('feed_mark',
    sa.Column('space_id', sa.String(64), nullable=False),
    sa.Column('likeness', sa.String(800), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('again_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('space_id', name=op.f('pk_feed_mark'))
    )


def downgrade() -> None:
    op.drop_table('feed_mark')
    with op.batch_alter_table('feed_item', schema=None) as batch_op:
        batch_op.drop_index('ix_feed_item_space')
        batch_op.drop_column('changed_at')
        batch_op.drop_column('space_id')
