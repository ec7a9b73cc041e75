import type { Runnable } from '../check';
import { canonical } from '../compare';
import type { Builder } from '../queries/builder';
import { type BuiltFind, buildFind, type Find } from './build';
import type { RelationalQuery } from './recipe';

interface Finding extends PromiseLike<unknown> {
  toSQL(): { sql: string; params: unknown[] };
}

type Finders = Readonly<Record<string, { findMany(find: Find): Finding; findFirst(find: Find): Finding }>>;

/** The relational query on one database, not yet run. */
export function relationalOn(db: unknown, query: RelationalQuery): Runnable {
  const built: BuiltFind = buildFind(db as Builder, query);
  const finder = (db as { query: Finders }).query[built.table];
  if (!finder) throw new Error(`db.query has no ${built.table}.`);
  const finding = built.first ? finder.findFirst(built.find) : finder.findMany(built.find);
  return {
    statement: finding.toSQL(),
    ordering: { rows: built.ordered ? 'exact' : 'any', keys: [], fold: false },
    run: async () => {
      const found = await finding;
      const rows = Array.isArray(found) ? found : [found];
      return built.nestedOrdered ? rows : rows.map(sortWithin);
    },
  };
}

/** Rows within rows, which have no order, in one. */
function sortWithin(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortWithin).sort((a, b) => (canonical(a) < canonical(b) ? -1 : 1));
  if (typeof value !== 'object' || value === null || value instanceof Date || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sortWithin(item)]));
}
