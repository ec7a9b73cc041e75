/** For whom this isolate has looked at a database: a cluster by its name, or CollegeDB's KV records. */
let checked = new WeakMap<D1Database, Set<string>>();

export const isChecked = (d1: D1Database, scope: string): boolean => checked.get(d1)?.has(scope) ?? false;

export function setChecked(d1: D1Database, scope: string): void {
  checked.set(d1, (checked.get(d1) ?? new Set()).add(scope));
}

/** Lets databases be looked at again, which an isolate otherwise does once. */
export const clearMigrationCache = (): void => {
  checked = new WeakMap();
};

/** Not CollegeDB's `shard_mappings`: that would be a table of yours, which moves take along. */
const MARK = '_shard_collegedb';

/** Says in a database that its rows have been mapped. */
export async function mark(d1: D1Database, scope: string): Promise<void> {
  await d1.batch([
    d1.prepare(`create table if not exists ${MARK} (scope text primary key) without rowid`),
    d1.prepare(`insert into ${MARK} (scope) values (?1) on conflict do nothing`).bind(scope),
  ]);
}

export async function isMarked(d1: D1Database, scope: string): Promise<boolean> {
  try {
    return (await d1.prepare(`select 1 from ${MARK} where scope = ?1`).bind(scope).first()) !== null;
  } catch (error) {
    if (String(error).includes('no such table')) return false;
    throw error;
  }
}
