"""accounts: links, the second step of logging in; the audit log is only added to"""

import sqlalchemy as sa
from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


APPEND_ONLY = {
    'sqlite': (
        "CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END",
        "CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END",
    ),
    'postgresql': (
        "CREATE OR REPLACE FUNCTION audit_entry_append_only() RETURNS trigger LANGUAGE plpgsql "
        "AS $$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$",
        "CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE ON audit_entry "
        "FOR EACH ROW EXECUTE FUNCTION audit_entry_append_only()",
        "CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_append_only()",
    ),
}


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
    op.create_table('link',
    sa.Column('token_hash', sa.String(64), nullable=False),
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['account.id'], name=op.f('fk_link_account_id_account'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_link'))
    )
    op.create_index(op.f('ix_link_account_id'), 'link', ['account_id'])
    op.create_index(op.f('ix_link_expires_at'), 'link', ['expires_at'])
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == 'sqlite':
        op.execute('DROP TRIGGER audit_entry_no_update')
        op.execute('DROP TRIGGER audit_entry_no_delete')
    else:
        op.execute('DROP TRIGGER audit_entry_no_change ON audit_entry')
        op.execute('DROP TRIGGER audit_entry_no_truncate ON audit_entry')
        op.execute('DROP FUNCTION audit_entry_append_only()')
    op.drop_table('link')
    op.drop_table('recovery_code')
    with op.batch_alter_table('account', schema=None) as batch_op:
        for name in ('codes_after', 'wrong_codes', 'totp_step', 'totp_on_at', 'totp_secret', 'logged_in_at'):
            batch_op.drop_column(name)
