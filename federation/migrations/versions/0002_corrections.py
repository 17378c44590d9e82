"""corrections that visitors ask for"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('correction',
    sa.Column('visit_id', sa.String(32), sa.ForeignKey('visit.id', name=op.f('fk_correction_visit_id_visit')), nullable=False),
    sa.Column('reason', sa.String(500), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('answer', sa.String(500), nullable=True),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('visit_id', name=op.f('pk_correction'))
    )


def downgrade() -> None:
    op.drop_table('correction')
