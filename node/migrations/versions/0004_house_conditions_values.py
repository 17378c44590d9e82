"""house conditions, the stories behind values, the yearly assessment"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.add_column(sa.Column('conditions', sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
        batch_op.add_column(sa.Column('stories', sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.alter_column('conditions', existing_type=sa.JSON(), server_default=None)
        batch_op.alter_column('stories', existing_type=sa.JSON(), server_default=None)
    op.create_table('assessment',
    sa.Column('space_id', sa.String(64), sa.ForeignKey('space.id', name=op.f('fk_assessment_space_id_space'), ondelete='CASCADE'), nullable=False),
    sa.Column('year', sa.Integer(), nullable=False),
    sa.Column('value', sa.String(80), nullable=False),
    sa.Column('level', sa.Integer(), nullable=False),
    sa.Column('evidence', sa.String(1000), nullable=False),
    sa.CheckConstraint('level BETWEEN 1 AND 4', name=op.f('ck_assessment_level')),
    sa.CheckConstraint("evidence <> ''", name=op.f('ck_assessment_evidence')),
    sa.PrimaryKeyConstraint('space_id', 'year', 'value', name=op.f('pk_assessment'))
    )


def downgrade() -> None:
    op.drop_table('assessment')
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.drop_column('stories')
        batch_op.drop_column('conditions')
