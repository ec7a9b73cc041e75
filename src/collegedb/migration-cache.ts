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
