"""what the jobs did, and what was last seen"""

import sqlalchemy as sa
from alembic import op

revision = '0024'
down_revision = '0023'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'job_record',
        sa.Column('name', sa.String(length=40), nullable=False),
        sa.Column('every_seconds', sa.Double(), nullable=False),
        sa.Column('since', sa.DateTime(timezone=True), nullable=False),
        sa.Column('runs', sa.BigInteger(), nullable=False),
        sa.Column('failures', sa.BigInteger(), nullable=False),
        sa.Column('seconds', sa.Double(), nullable=False),
        sa.Column('succeeded_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('failed_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('fault', sa.String(length=80), nullable=True),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_job_record')),
    )
    op.create_table(
        'observation',
        sa.Column('name', sa.String(length=40), nullable=False),
        sa.Column('at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('value', sa.Double(), nullable=True),
        sa.Column('fault', sa.String(length=120), nullable=True),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_observation')),
    )


def downgrade() -> None:
    op.drop_table('observation')
    op.drop_table('job_record')
