/** Drops every table and view of a database, and with them its indexes and triggers. */
export async function emptyDatabase(database: D1Database): Promise<void> {
  const { results } = await database
    .prepare(
      // Virtual tables first: they take their shadow tables along.
      `select type, name from sqlite_master where type in ('table', 'view') and name not like 'sqlite\\_%' escape '\\'
       and name not like '\\_cf\\_%' escape '\\' order by type = 'table', sql like 'create virtual%' desc`,
    )
    .all<{ type: string; name: string }>();
  if (results.length === 0) return;
  const drops = results.map(({ type, name }) => `drop ${type} if exists "${name.replaceAll('"', '""')}"`);
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
