"""e-mail that is owed"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('mail',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('key', sa.String(200), nullable=False),
    sa.Column('to', sa.String(254), nullable=False),
    sa.Column('subject', sa.String(300), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('state', sa.String(10), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('next_attempt_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('error', sa.String(40), nullable=True),
    sa.CheckConstraint("state IN ('pending', 'sent', 'dead')", name=op.f('ck_mail_state')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_mail')),
    sa.UniqueConstraint('key', name=op.f('uq_mail_key'))
    )
    op.create_index('ix_mail_due', 'mail', ['state', 'next_attempt_at'])


def downgrade() -> None:
    op.drop_table('mail')
