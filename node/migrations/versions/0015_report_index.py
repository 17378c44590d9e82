"""reports that can still be told again are found without reading every visit"""

import sqlalchemy as sa
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    told = sa.text("report <> ''")
    op.create_index('ix_visit_report', 'visit', ['started_at'], sqlite_where=told, postgresql_where=told)


def downgrade() -> None:
    op.drop_index('ix_visit_report', 'visit')
