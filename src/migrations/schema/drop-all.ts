import { quoteName } from '../../sql/tokens';
import { describeSchema } from './describe';
import { inDropOrder } from './drop-order';

/** Empties a database that nobody needs. */
export async function dropAll(d1: Pick<D1Database, 'prepare' | 'batch'>): Promise<void> {
  const { tables, views, triggers, virtualTables } = await describeSchema(d1);
  const drops = [
    // One that fires may need a table that has gone.
    ...triggers.map(({ name }) => `drop trigger ${quoteName(name)}`),
    ...views.map(({ name }) => `drop view ${quoteName(name)}`),
    ...[...virtualTables, ...inDropOrder(tables)].map(({ name }) => `drop table ${quoteName(name)}`),
  ];
  await d1.batch(['pragma defer_foreign_keys = on', ...drops].map((sql) => d1.prepare(sql)));
}
