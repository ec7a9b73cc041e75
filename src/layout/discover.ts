import { UnknownTableError, UnsupportedStatementError } from '../errors';
import { foldName, quoteName } from '../sql/tokens';
import { readType } from './drizzle-schema';
import type { Column, TableShape } from './table';

interface ColumnRow {
  name: string;
  type: string;
  pk: number;
  hidden: number;
}

/**
 * Asks a database for the shape of a table that the schema does not have. One D1 round trip.
 *
 * @throws UnknownTableError when there is no such table; UnsupportedStatementError for a view.
 */
export async function discoverTable(d1: Pick<D1Database, 'prepare' | 'batch'>, name: string): Promise<TableShape> {
  const [columns, master, indexes] = (await d1.batch([
    d1.prepare('select name, type, pk, hidden from pragma_table_xinfo(?1)').bind(name),
    d1.prepare('select type, sql from sqlite_master where lower(name) = ?1').bind(foldName(name)),
    d1
      .prepare(
        `select l.name as "index", i.name as "column" from pragma_index_list(?1) l join pragma_index_info(l.name) i where l."unique" and l.origin <> 'pk' order by l.seq, i.seqno`,
      )
      .bind(name),
  ])) as [
    D1Result<ColumnRow>,
    D1Result<{ type: string; sql: string }>,
    D1Result<{ index: string; column: string | null }>,
  ];
  const kind = master.results[0]?.type;
  if (columns.results.length === 0 || !kind) {
    throw new UnknownTableError(`There is no table ${name} in the schema, nor on the shards.`, {
      tables: [name],
      remedy: 'Add it to the schema, or run its migration on every shard.',
    });
  }
  if (kind === 'view') {
    throw new UnsupportedStatementError(`${name} is a view; which shards its rows come from cannot be told.`, {
      tables: [name],
      remedy: 'Query its tables, for instance through db.$with().',
    });
  }
  const ddl = master.results[0]?.sql ?? '';
  const shaped = columns.results.filter((row) => row.hidden !== 1);
  const primaryKey = shaped
    .filter((row) => row.pk > 0)
    .sort((a, b) => a.pk - b.pk)
    .map((row) => row.name);
  const single = primaryKey.length === 1 ? shaped.find((row) => row.pk === 1) : undefined;
  const uniques = new Map<string, string[]>();
  for (const row of indexes.results) {
    const list = uniques.get(row.index) ?? [];
    if (row.column !== null) list.push(row.column);
    uniques.set(row.index, list);
  }
  return {
    name,
    columns: shaped.map(
      (row): Column => ({
        name: row.name,
        ...readType(row.type),
        collation: collationOf(ddl, row.name),
        generated: row.hidden > 1,
      }),
    ),
    primaryKey,
    uniques: [...uniques.values()],
    foreignKeys: [],
    rowidAlias: single && /^integer$/i.test(single.type) && !/without\s+rowid/i.test(ddl) ? single.name : undefined,
  };
}

/** No pragma tells a column's collation, so the CREATE TABLE text is searched between the column's name and the next comma. */
function collationOf(ddl: string, column: string): string {
  const names = [quoteName(column), `\`${column}\``, `[${column}]`, column].map((name) =>
    name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
  );
  const found = new RegExp(
    `(?:^|[\\s,(])(?:${names.join('|')})[\\s](?:[^,()]|\\([^)]*\\))*?\\bcollate\\s+["'\`[]?(\\w+)`,
    'i',
  ).exec(ddl);
  return found?.[1]?.toUpperCase() ?? 'BINARY';
}
