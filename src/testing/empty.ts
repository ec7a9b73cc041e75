import { ConfigError } from '../errors';
import { inDropOrder } from '../migrations/schema/drop-order';
import { quoteName } from '../sql/tokens';

/**
 * Drops every table and view of a database, and with them its indexes and triggers.
 *
 * @throws ConfigError, and drops nothing, where it is one of Cloudflare's.
 */
export async function emptyDatabase(database: D1Database): Promise<void> {
  const { results, meta } = await database
    .prepare(
      // Virtual tables before others: they take their shadow tables along.
      `select type, name, sql like 'create virtual%' as virtual,
         (select json_group_array(f."table") from pragma_foreign_key_list(m.name) f where m.type = 'table') as parents
       from sqlite_master m where type in ('trigger', 'table', 'view') and name not like 'sqlite\\_%' escape '\\'
         and name not like '\\_cf\\_%' escape '\\'`,
    )
    .all<{ type: string; name: string; virtual: number; parents: string }>();
  // Local databases are in no region: https://developers.cloudflare.com/d1/worker-api/return-object/
  if (meta.served_by_region) {
    throw new ConfigError(`A test cluster would drop every table of a database in ${meta.served_by_region}.`, {
      remedy: 'Pass bindings of this machine, without `remote`.',
    });
  }
  if (results.length === 0) return;
  const tables = results
    .filter(({ type, virtual }) => type === 'table' && virtual === 0)
    .map((row) => ({ ...row, foreignKeys: (JSON.parse(row.parents) as string[]).map((table) => ({ table })) }));
  const drops = [
    // One that fires may need a table that has gone.
    ...results.filter(({ type }) => type === 'trigger'),
    ...results.filter(({ type }) => type === 'view'),
    ...results.filter(({ virtual }) => virtual === 1),
    ...inDropOrder(tables),
  ].map(({ type, name }) => `drop ${type} if exists ${quoteName(name)}`);
  await database.batch(['pragma defer_foreign_keys = on', ...drops].map((sql) => database.prepare(sql)));
}

/** Deletes the keys of a KV namespace that begin with `prefix`. */
export async function emptyKv(namespace: KVNamespace, prefix = ''): Promise<void> {
  for (;;) {
    // Always the first page: what was on it is gone.
    const { keys, list_complete: isLast } = await namespace.list({ prefix });
    await Promise.all(keys.map(({ name }) => namespace.delete(name)));
    if (isLast) return;
  }
}

/** Empties what a Durable Object keeps. Its tables are there afterwards, as its constructor has made them. */
export async function emptyObject(storage: DurableObjectStorage): Promise<void> {
  const tables = storage.sql
    .exec<{ sql: string }>(
      `select sql from sqlite_master where sql is not null and name not glob 'sqlite_*' and name not glob '_cf_*'
       order by type = 'table' desc`,
    )
    .toArray();
  await storage.deleteAlarm();
  await storage.deleteAll();
  storage.transactionSync(() => {
    for (const { sql } of tables) storage.sql.exec(sql);
  });
}
