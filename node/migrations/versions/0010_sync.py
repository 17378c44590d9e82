"""publication by document, what is known of the hub, and the check of the node"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

TIMES = ('heard_at', 'harvested_at', 'jobs_at', 'check_asked_at', 'check_done_at')


def upgrade() -> None:
    op.create_table('published_document',
    sa.Column('name', sa.String(100), nullable=False),
    sa.Column('sha256', sa.String(64), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('accepted_sha256', sa.String(64), nullable=True),
    sa.Column('accepted_version', sa.Integer(), nullable=True),
    sa.Column('accepted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('refused', sa.JSON(), nullable=True),
    sa.CheckConstraint('version > 0', name=op.f('ck_published_document_version')),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_published_document'))
    )
    with op.batch_alter_table('enrolment', schema=None) as batch_op:
        for name in TIMES:
            batch_op.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('harvest_fault', sa.String(200), nullable=True))
        batch_op.add_column(sa.Column('check_report', sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('enrolment', schema=None) as batch_op:
        for name in (*TIMES, 'harvest_fault', 'check_report'):
            batch_op.drop_column(name)
    op.drop_table('published_document')
