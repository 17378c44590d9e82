"""members: family name, suspension, one-time links, files to import"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def _fold(text):
    plain = unicodedata.normalize('NFKD', text.casefold())
    return ' '.join(''.join(c for c in plain if not unicodedata.combining(c)).split())


def upgrade() -> None:
    with op.batch_alter_table('member', schema=None) as batch_op:
        batch_op.add_column(sa.Column('family_name', sa.String(60), nullable=False, server_default=sa.text("''")))
        batch_op.add_column(sa.Column('folded', sa.String(400), nullable=False, server_default=sa.text("''")))
        batch_op.add_column(sa.Column('suspended_at', sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table('pass', schema=None) as batch_op:
        batch_op.add_column(sa.Column('changes', sa.Integer(), nullable=False, server_default=sa.text('0')))
        batch_op.add_column(sa.Column('with_member', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(op.f('ix_member_plan_id'), 'member', ['plan_id'])
    op.create_index(op.f('ix_member_ended_on'), 'member', ['ended_on'])
    op.create_index('ix_member_folded', 'member', ['folded', 'id'])
    member = sa.table('member', sa.column('id'), sa.column('account_id'), sa.column('given_name'), sa.column('family_name'), sa.column('folded'))
    account = sa.table('account', sa.column('id'), sa.column('name'), sa.column('email'))
    rows = sa.select(member.c.id, member.c.given_name, account.c.name, account.c.email).join(account, account.c.id == member.c.account_id)
    for row in op.get_bind().execute(rows).all():
        family = row.name.removeprefix(row.given_name).strip()[:60]
        folded = _fold(f'{family} {row.given_name} {row.email}')[:400]
        op.execute(member.update().where(member.c.id == row.id).values(family_name=family, folded=folded))
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
    op.create_table('import_file',
    sa.Column('id', sa.String(64), nullable=False),
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['account.id'], name=op.f('fk_import_file_account_id_account'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_import_file'))
    )
    op.create_index(op.f('ix_import_file_account_id'), 'import_file', ['account_id'])
    op.create_index(op.f('ix_import_file_created_at'), 'import_file', ['created_at'])


def downgrade() -> None:
    op.drop_table('import_file')
    op.drop_table('link')
    op.drop_index('ix_member_folded', 'member')
    op.drop_index(op.f('ix_member_ended_on'), 'member')
    op.drop_index(op.f('ix_member_plan_id'), 'member')
    with op.batch_alter_table('pass', schema=None) as batch_op:
        batch_op.drop_column('with_member')
        batch_op.drop_column('changes')
    with op.batch_alter_table('member', schema=None) as batch_op:
        batch_op.drop_column('suspended_at')
        batch_op.drop_column('folded')
        batch_op.drop_column('family_name')
