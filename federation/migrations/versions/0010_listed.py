"""spaces that run no node: listed, with the source that tells of them"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('listing_source',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(120), nullable=False),
    sa.Column('kind', sa.String(12), nullable=False),
    sa.Column('url', sa.String(500), nullable=True),
    sa.Column('file_name', sa.String(200), nullable=True),
    sa.Column('licence', sa.String(120), nullable=False),
    sa.Column('attribution', sa.String(300), nullable=False),
    sa.Column('mapping', sa.JSON(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('created_by', sa.Integer(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('imported_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('refreshed', sa.Boolean(), nullable=False),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('fault', sa.String(300), nullable=True),
    sa.CheckConstraint("kind IN ('csv', 'geojson', 'gogocarto', 'spaceapi')", name=op.f('ck_listing_source_kind')),
    sa.ForeignKeyConstraint(['created_by'], ['account.id'], name=op.f('fk_listing_source_created_by_account'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_listing_source')),
    sa.UniqueConstraint('name', name=op.f('uq_listing_source_name'))
    )
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.add_column(sa.Column('source_id', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('source_key', sa.String(200), nullable=True))
        batch_op.alter_column('node_id', existing_type=sa.String(64), nullable=True)
        batch_op.create_foreign_key(op.f('fk_space_source_id_listing_source'), 'listing_source', ['source_id'], ['id'])
        batch_op.create_unique_constraint(op.f('uq_space_source_id_source_key'), ['source_id', 'source_key'])
        batch_op.create_check_constraint(op.f('ck_space_owner'), '(node_id IS NULL) <> (source_id IS NULL)')
        batch_op.create_check_constraint(op.f('ck_space_source'), '(source_id IS NULL) = (source_key IS NULL)')
    op.create_table('listing',
    sa.Column('space_id', sa.String(64), nullable=False),
    sa.Column('facts', sa.JSON(), nullable=False),
    sa.Column('edits', sa.JSON(), nullable=False),
    sa.Column('became_id', sa.String(64), nullable=True),
    sa.ForeignKeyConstraint(['became_id'], ['space.id'], name=op.f('fk_listing_became_id_space')),
    sa.ForeignKeyConstraint(['space_id'], ['space.id'], name=op.f('fk_listing_space_id_space')),
    sa.PrimaryKeyConstraint('space_id', name=op.f('pk_listing'))
    )
    op.create_table('listing_choice',
    sa.Column('source_id', sa.Integer(), nullable=False),
    sa.Column('source_key', sa.String(200), nullable=False),
    sa.Column('choice', sa.String(8), nullable=False),
    sa.Column('space_id', sa.String(64), nullable=True),
    sa.Column('chosen_by', sa.Integer(), nullable=True),
    sa.Column('chosen_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("choice IN ('skip', 'same', 'apart')", name=op.f('ck_listing_choice_choice')),
    sa.CheckConstraint("choice <> 'same' OR space_id IS NOT NULL", name=op.f('ck_listing_choice_same')),
    sa.ForeignKeyConstraint(['chosen_by'], ['account.id'], name=op.f('fk_listing_choice_chosen_by_account'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['source_id'], ['listing_source.id'], name=op.f('fk_listing_choice_source_id_listing_source')),
    sa.ForeignKeyConstraint(['space_id'], ['space.id'], name=op.f('fk_listing_choice_space_id_space')),
    sa.PrimaryKeyConstraint('source_id', 'source_key', name=op.f('pk_listing_choice'))
    )
    op.create_table('listing_draft',
    sa.Column('id', sa.String(64), nullable=False),
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('source_id', sa.Integer(), nullable=True),
    sa.Column('source', sa.JSON(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('mapping', sa.JSON(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['account.id'], name=op.f('fk_listing_draft_account_id_account'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['source_id'], ['listing_source.id'], name=op.f('fk_listing_draft_source_id_listing_source')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_listing_draft'))
    )
    op.create_index(op.f('ix_listing_draft_account_id'), 'listing_draft', ['account_id'])
    op.create_index(op.f('ix_listing_draft_created_at'), 'listing_draft', ['created_at'])


def downgrade() -> None:
    op.drop_index(op.f('ix_listing_draft_created_at'), 'listing_draft')
    op.drop_index(op.f('ix_listing_draft_account_id'), 'listing_draft')
    op.drop_table('listing_draft')
    op.drop_table('listing_choice')
    op.drop_table('listing')
    op.execute('DELETE FROM space WHERE node_id IS NULL')
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_space_source'), type_='check')
        batch_op.drop_constraint(op.f('ck_space_owner'), type_='check')
        batch_op.drop_constraint(op.f('uq_space_source_id_source_key'), type_='unique')
        batch_op.drop_constraint(op.f('fk_space_source_id_listing_source'), type_='foreignkey')
        batch_op.alter_column('node_id', existing_type=sa.String(64), nullable=False)
        batch_op.drop_column('source_key')
        batch_op.drop_column('source_id')
    op.drop_table('listing_source')
