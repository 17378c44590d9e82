"""the second step of logging in"""

import sqlalchemy as sa
from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('account', schema=None) as batch_op:
        batch_op.add_column(sa.Column('logged_in_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('totp_secret', sa.String(200), nullable=True))
        batch_op.add_column(sa.Column('totp_on_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('totp_step', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('wrong_codes', sa.Integer(), nullable=False, server_default=sa.text('0')))
        batch_op.add_column(sa.Column('codes_after', sa.DateTime(timezone=True), nullable=True))
    op.create_table('recovery_code',
    sa.Column('code_hash', sa.String(64), nullable=False),
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['account.id'], name=op.f('fk_recovery_code_account_id_account'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('code_hash', name=op.f('pk_recovery_code'))
    )
    op.create_index(op.f('ix_recovery_code_account_id'), 'recovery_code', ['account_id'])


def downgrade() -> None:
    op.drop_table('recovery_code')
    with op.batch_alter_table('account', schema=None) as batch_op:
        for name in ('codes_after', 'wrong_codes', 'totp_step', 'totp_on_at', 'totp_secret', 'logged_in_at'):
            batch_op.drop_column(name)
