import type { SQLWrapper } from 'drizzle-orm';
import { quoteName } from '../sql/tokens';
import { type Casing, columnName } from './column-name';

/** Writes Drizzle's `sql` as text and values. The options are those that Drizzle 0.45 and 1.0 have in common, and `casing`, which only 0.45 reads. */
export function renderSql(wrapper: SQLWrapper, casing: Casing): { sql: string; params: unknown[] } {
  const options = {
    escapeName: quoteName,
    escapeParam: () => '?',
    escapeString: (text: string) => `'${text.replaceAll("'", "''")}'`,
    casing: { getColumnCasing: (column: Parameters<typeof columnName>[0]) => columnName(column, casing) },
  };
  const sql = wrapper.getSQL();
  return sql.toQuery(options as unknown as Parameters<typeof sql.toQuery>[0]);
}
