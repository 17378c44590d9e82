"""wrong passwords in a row, by the address that was typed"""

import sqlalchemy as sa
from alembic import op

revision = '0023'
down_revision = '0022'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'wrong_password',
        sa.Column('email_hash', sa.String(length=64), nullable=False),
        sa.Column('wrong', sa.Integer(), nullable=False),
        sa.Column('at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('after', sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint('email_hash', name=op.f('pk_wrong_password')),
    )
    op.create_index(op.f('ix_wrong_password_at'), 'wrong_password', ['at'])


def downgrade() -> None:
    op.drop_table('wrong_password')
