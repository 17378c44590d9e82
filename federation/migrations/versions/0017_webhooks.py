"""webhooks: who is told what, and what each was told"""

import sqlalchemy as sa
from alembic import op

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('webhook',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(120), nullable=False),
    sa.Column('url', sa.String(500), nullable=False),
    sa.Column('email', sa.String(254), nullable=False),
    sa.Column('kinds', sa.JSON(), nullable=False),
    sa.Column('state', sa.String(8), nullable=False),
    sa.Column('secret', sa.String(200), nullable=False),
    sa.Column('former_secret', sa.String(200), nullable=True),
    sa.Column('former_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('failing_since', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('active', 'paused', 'disabled')", name=op.f('ck_webhook_state')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook'))
    )
    op.create_table('webhook_delivery',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('webhook_id', sa.Integer(), nullable=False),
    sa.Column('message_id', sa.String(40), nullable=False),
    sa.Column('kind', sa.String(30), nullable=False),
    sa.Column('subject', sa.String(140), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('state', sa.String(10), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('next_attempt_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('status', sa.Integer(), nullable=True),
    sa.Column('ms', sa.Integer(), nullable=True),
    sa.Column('answer', sa.String(300), nullable=True),
    sa.Column('fault', sa.String(60), nullable=True),
    sa.CheckConstraint("state IN ('pending', 'done', 'dead')", name=op.f('ck_webhook_delivery_state')),
    sa.ForeignKeyConstraint(['webhook_id'], ['webhook.id'], name=op.f('fk_webhook_delivery_webhook_id_webhook'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_delivery'))
    )
    op.create_index('uq_webhook_delivery_message', 'webhook_delivery', ['webhook_id', 'message_id'], unique=True)
    op.create_index('ix_webhook_delivery_due', 'webhook_delivery', ['state', 'next_attempt_at'])
    op.create_table('webhook_told',
    sa.Column('thing', sa.String(10), nullable=False),
    sa.Column('subject', sa.String(64), nullable=False),
    sa.Column('state', sa.String(12), nullable=False),
    sa.PrimaryKeyConstraint('thing', 'subject', name=op.f('pk_webhook_told'))
    )


def downgrade() -> None:
    op.drop_table('webhook_told')
    op.drop_table('webhook_delivery')
    op.drop_table('webhook')
