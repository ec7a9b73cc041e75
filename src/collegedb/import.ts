import { active } from './active';
import type { CollegeDB } from './college';
import { keysAfter, PAGE } from './key-pages';
import type { KeyRecords } from './key-records';
import { hashOf, isHash, KvRecords } from './kv-records';
import type { Lookout } from './lookout';
import { recordsOf } from './mapper';

export interface ImportOptions {
  /** Change nothing; the report is that of a real run. Default false. */
  dryRun?: boolean;
  /** The cluster that takes them over. Default: the one that `initialize` has made. */
  into?: Pick<CollegeDB, 'mapper'>;
}

/** A key whose record says another shard than its rows do. The rows are right. */
export interface Contradiction {
  key: string;
  /** By CollegeDB's record. */
  recorded: string;
  lives: string;
}

/** A key with rows in several databases: every statement with it is refused. */
export interface RecordedConflict {
  key: string;
  /** By CollegeDB's record: where its rows were read and written. */
  recorded: string;
  shards: readonly string[];
}

export interface ImportReport {
  /** Records found in KV. */
  records: number;
  /** Keys that live where their record says, from now on. */
  placed: number;
  contradictions: Contradiction[];
  conflicts: RecordedConflict[];
  /** Hashed records that no key of any row has: what they were for cannot be told, and nothing can ask for it. */
  unresolved: number;
  /** Records by shards that the configuration does not have. */
  unknownShards: Record<string, number>;
  /** All of it in words. */
  text: string;
}

/**
 * Takes over what a CollegeDB deployment has in KV: a record of a key without rows becomes a placement record on the shards.
 * Keys with rows need none: where the rows are is found without it, and a record that says otherwise is reported. Hashed ones are
 * recognized by hashing the keys that the databases have, and the values of their columns `email`, `username` and `name`, which
 * CollegeDB's lookup keys are made of. KV is only read. It can be repeated.
 *
 * Every hashed record is held in memory: with more than some hundred thousand run it in a script, not in a Worker.
 *
 * @example
 * const { text } = await importCollegeDBMappings(env.KV, { dryRun: true });
 * console.log(text);
 * await importCollegeDBMappings(env.KV);
 * @throws CollegeDBError `NOT_INITIALIZED` without a cluster.
 */
export async function importCollegeDBMappings(
  kv: KVNamespace,
  { dryRun = false, into = active() }: ImportOptions = {},
): Promise<ImportReport> {
  const records = recordsOf(into);
  const run = new Import(records, dryRun ? await records.lookout() : undefined);
  const hashed = new Map<string, string>();
  for await (const page of new KvRecords(kv, true).all()) {
    for (const { name, originalKey, shard } of page) {
      run.records++;
      if (originalKey !== undefined || !isHash(name)) await run.add(originalKey ?? name, shard);
      else hashed.set(name, shard);
    }
  }
  if (hashed.size > 0) {
    for await (const key of candidates(records)) {
      // A key may look like a hash itself.
      for (const name of [await hashOf(key), key]) {
        const shard = hashed.get(name);
        if (shard === undefined) continue;
        hashed.delete(name);
        await run.add(key, shard);
      }
    }
  }
  return run.end(hashed.size);
}

const LOOKUP_COLUMNS = ['email', 'username', 'name'];

/** What a hashed record may be for. */
async function* candidates(records: KeyRecords): AsyncGenerator<string> {
  for (const [shard, d1] of records.cluster.databases) {
    for (const { table, column } of await records.tables(shard)) {
      for await (const page of keysAfter(d1, table, column)) {
        for (const key of page) yield* [key, `${column}:${key}`];
      }
      const { results } = await d1
        .prepare('select name from pragma_table_info(?1)')
        .bind(table)
        .all<{ name: string }>();
      for (const { name } of results.filter((one) => LOOKUP_COLUMNS.includes(one.name))) {
        for await (const page of keysAfter(d1, table, name)) yield* page.map((value) => `${name}:${value}`);
      }
    }
  }
}

class Import {
  records = 0;
  #placed = 0;
  readonly #contradictions: Contradiction[] = [];
  readonly #conflicts: RecordedConflict[] = [];
  readonly #unknown: Record<string, number> = {};
  readonly #waiting = new Map<string, string[]>();

  constructor(
    readonly cluster: KeyRecords,
    /** Of a dry run. */
    readonly trial: Lookout | undefined,
  ) {}

  async add(key: string, shard: string): Promise<void> {
    if (!this.cluster.shards.includes(shard)) {
      this.#unknown[shard] = (this.#unknown[shard] ?? 0) + 1;
      return;
    }
    const keys = this.#waiting.get(shard) ?? [];
    this.#waiting.set(shard, keys);
    if (keys.push(key) >= PAGE) await this.#place(shard);
  }

  async #place(shard: string): Promise<void> {
    const keys = this.#waiting.get(shard) ?? [];
    this.#waiting.delete(shard);
    const kept = await this.cluster.settle(shard, keys, this.trial);
    this.#placed += keys.length - kept.size;
    for (const [key, { shards, isConflict }] of kept) {
      if (isConflict) this.#conflicts.push({ key, recorded: shard, shards });
      else this.#contradictions.push({ key, recorded: shard, lives: shards[0] as string });
    }
  }

  async end(unresolved: number): Promise<ImportReport> {
    for (const shard of this.#waiting.keys()) await this.#place(shard);
    const { records, trial } = this;
    const contradictions = this.#contradictions;
    const conflicts = this.#conflicts;
    const unknown = Object.entries(this.#unknown).map(([shard, count]) => `${count} of ${shard}`);
    const lines = [
      `${records} records of CollegeDB; ${this.#placed} keys ${trial ? 'would live' : 'live'} where their record says.`,
      ...contradictions
        .slice(0, 20)
        .map(({ key, recorded, lives }) => `${key} lives on ${lives}, and its record says ${recorded}.`),
      ...(contradictions.length > 20
        ? [`${contradictions.length - 20} more records say other shards than the rows.`]
        : []),
      ...conflicts
        .slice(0, 20)
        .map(
          ({ key, recorded, shards }) => `${key} has rows on ${shards.join(' and ')}, and its record says ${recorded}.`,
        ),
      ...(conflicts.length > 20 ? [`${conflicts.length - 20} more keys have rows in several databases.`] : []),
      ...(unresolved > 0 ? [`${unresolved} hashed records are of no key that has a row.`] : []),
      ...(unknown.length > 0 ? [`Shards that the configuration does not have: ${unknown.join(', ')}.`] : []),
    ];
    return {
      records,
      placed: this.#placed,
      contradictions,
      conflicts,
      unresolved,
      unknownShards: this.#unknown,
      text: lines.join('\n'),
    };
  }
}
