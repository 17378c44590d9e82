"""what a visitor is told after a yes"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('space', schema=None) as batch_op:
        for language in ('fr', 'en'):
            batch_op.add_column(
                sa.Column(f'welcome_{language}', sa.String(2000), nullable=False, server_default=sa.text("''"))
            )


def downgrade() -> None:
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.drop_column('welcome_en')
        batch_op.drop_column('welcome_fr')
