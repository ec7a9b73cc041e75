import type { DrizzleD1Database } from 'drizzle-orm/d1';
import { ShardedDrizzleError } from '../../src/errors';
import { difference } from '../differential/compare';
import { type Contents, contentsOf, restore, shardContents } from '../differential/contents';
import { sampleDataset } from '../differential/data';
import type { schema } from '../differential/schema';
import { load, openSides, type Sides } from '../differential/sides';
import { sameContents } from '../differential/writes/run';
import { plain } from '../support/shards';

export type Database = DrizzleD1Database<typeof schema>;

/** SQL text with the values it binds. */
export interface Bound {
  readonly sql: string;
  readonly params: readonly unknown[];
}

/** What is written: text, or a statement of Drizzle's. */
export type Write = string | Bound | ((db: Database) => { toSQL(): { sql: string; params: unknown[] } });

/** Beside the odd values of the data: integers that JavaScript cannot hold, digits that a short form would lose. */
const MORE = [
  `insert into orders (id, user_ref, total, placed_at, status, quantity) values (2001, 'u1', 9007199254740993, 5, 'long', -9007199254740993),
    (2002, 'u2', 0.1 + 0.2, 6, 'real', 9223372036854775807), (2003, 'U1', 1e300, 7, char(0) || 'x', 1), (2004, '1', 5.0, 8, '5', 2),
    (2005, 'nobody', 'text', 9, '', null)`,
  `insert into users (id, name, score, active, avatar) values ('r1', 'reals', 1.0, 1, x'00ff'), ('r2', 'reals', -0.0, 0, 'text'), ('r3', 'long', 9e999, 1, zeroblob(3))`,
  "insert into tags (id, label, weight) values ('t2', 'used', 1), ('free', 'f', 1), ('FREE', 'g', 2) on conflict do nothing",
];

/** One D1 and some shards with the same rows, which can be put back. */
export class Pair {
  private constructor(
    readonly sides: Sides,
    readonly before: readonly (readonly [D1Database, Contents])[],
  ) {}

  static async open(count: number, seed: number): Promise<Pair> {
    const sides = await openSides(count);
    await load(sides, sampleDataset(seed, 'full'));
    for (const sql of MORE) for (const client of [plain, clientOf(sides.sharded)]) await client.prepare(sql).run();
    const each = await shardContents(sides.shards);
    const shards = Object.entries(sides.shards).map(([name, database]) => [database, each[name] ?? {}] as const);
    return new Pair(sides, [[plain, await contentsOf(plain)], ...shards]);
  }

  async restore(): Promise<void> {
    await Promise.all(this.before.map(([database, contents]) => restore(database, contents)));
  }

  bound(write: Write): Bound {
    if (typeof write === 'string') return { sql: write, params: [] };
    return 'sql' in write ? write : write(this.sides.plain).toSQL();
  }

  /** Runs it on the shards. */
  run(write: Write): Promise<D1Result> {
    return runOn(clientOf(this.sides.sharded), this.bound(write));
  }

  /** Runs it on both sides; the number of changes. @throws Error that says what differs. */
  async same(write: Write, rows: 'exact' | 'any' = 'exact'): Promise<number> {
    const bound = this.bound(write);
    const expected = await runOn(plain, bound);
    const got = await runOn(clientOf(this.sides.sharded), bound);
    const wrong = difference(expected.results, got.results, { rows, keys: [], fold: false });
    if (wrong) throw new Error(`RETURNING differs. ${wrong}`);
    if (expected.meta.changes !== got.meta.changes)
      throw new Error(`${expected.meta.changes} changes expected, ${got.meta.changes} made.`);
    await sameContents(this.sides, 'after it was done');
    return got.meta.changes;
  }

  /** What it is refused with, having changed nothing. */
  async refusal(write: Write): Promise<ShardedDrizzleError> {
    const error = await this.run(write).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof ShardedDrizzleError)) throw new Error(`It was not refused: ${String(error)}`);
    await sameContents(this.sides, 'after it was refused');
    return error;
  }
}

export const clientOf = (db: Database): D1Database => (db as unknown as { $client: D1Database }).$client;

const runOn = (client: D1Database, { sql, params }: Bound): Promise<D1Result> =>
  (params.length > 0 ? client.prepare(sql).bind(...params) : client.prepare(sql)).all();
