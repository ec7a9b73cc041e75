import { ConfigError } from '../../errors';
import { isOp, isWord, tokenize } from '../../sql/tokens';
import type { Migration } from '../bundle';
import { statementsOf } from '../statements';
import { describeSchema } from './describe';
import { dropAll } from './drop-all';
import type { Schema } from './schema';

/** The schema that a database has to have after these migrations; undefined where that cannot be told. */
export type SchemaAfter = (applied: readonly Migration[]) => Promise<Schema | undefined>;

export interface ExpectedSchemaOptions {
  /**
   * `drizzle-kit pull` and `introspect` write a first migration without statements, for tables that were there. This gives those
   * that it stands for. Default: it is not known, and so is no schema that begins with it.
   */
  readonly introspected?: (tag: string) => Promise<readonly string[] | undefined>;
}

/**
 * Tells which schema migrations give, by applying them to a database that nobody needs. Each file is applied once, however many
 * shards are asked for.
 *
 * @param scratch An empty database: it is changed, and emptied when another order of migrations is asked for.
 * @example
 * const expected = expectedSchema(await miniflare.getD1Database('SCRATCH'));
 * await migrateShards(db, bundle, { expected });
 * @throws ConfigError, when it is called, where `scratch` is not empty or refuses a migration.
 */
export function expectedSchema(scratch: D1Database, options: ExpectedSchemaOptions = {}): SchemaAfter {
  const one = new Scratch(scratch, options);
  let last: Promise<unknown> = Promise.resolve();
  return (applied) => {
    const next = last.then(() => one.after(applied));
    last = next.catch(() => {});
    return next;
  };
}

class Scratch {
  /** By the migrations that lead to it. */
  readonly #known = new Map<string, Schema | undefined>();
  /** What the database has had, `undefined` before it was looked at. */
  #applied: string[] | undefined;

  constructor(
    readonly d1: D1Database,
    readonly options: ExpectedSchemaOptions,
  ) {}

  async after(applied: readonly Migration[]): Promise<Schema | undefined> {
    const names = applied.map(({ tag, sql }) => JSON.stringify([tag, sql]));
    const key = keyOf(names);
    if (!this.#known.has(key)) await this.#apply(applied, names);
    return this.#known.get(key);
  }

  async #apply(applied: readonly Migration[], names: readonly string[]): Promise<void> {
    const had = this.#applied ?? (await this.#begin());
    const isNext = had.length <= names.length && had.every((name, i) => name === names[i]);
    if (!isNext) {
      await dropAll(this.d1);
      this.#applied = [];
    }
    const from = isNext ? had.length : 0;
    for (const [i, migration] of applied.entries()) {
      if (i < from) continue;
      const key = keyOf(names.slice(0, i + 1));
      const statements = await this.#statementsOf(migration, i === 0);
      if (!statements) {
        for (let end = i + 1; end <= names.length; end++) this.#known.set(keyOf(names.slice(0, end)), undefined);
        return;
      }
      await this.#run(migration, statements);
      this.#applied = names.slice(0, i + 1);
      this.#known.set(key, await describeSchema(this.d1));
    }
  }

  /** Undefined: what it stands for is not known. */
  async #statementsOf({ tag, sql }: Migration, isFirst: boolean): Promise<readonly string[] | undefined> {
    const statements = statementsOf(sql);
    if (isFirst && statements.length === 0) return this.options.introspected?.(tag);
    return statements.filter((text) => !isRowsOnly(text));
  }

  async #run({ tag }: Migration, statements: readonly string[]): Promise<void> {
    if (statements.length === 0) return;
    try {
      await this.d1.batch(statements.map((sql) => this.d1.prepare(sql)));
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      throw new ConfigError(`The migrations do not make a schema by themselves: ${tag} fails with ${said}.`, {
        remedy: 'Put what it needs into a migration before it, or do without the check for drift.',
        cause: error,
      });
    }
  }

  async #begin(): Promise<string[]> {
    const empty = await describeSchema(this.d1);
    const [found] = [...empty.tables, ...empty.virtualTables, ...empty.views];
    if (found) {
      throw new ConfigError(`The database that migrations are tried on is not empty: it has ${found.name}.`, {
        remedy: 'Pass one that nobody needs.',
      });
    }
    this.#known.set(keyOf([]), empty);
    this.#applied = [];
    return [];
  }
}

const keyOf = (names: readonly string[]): string => names.join('\n');

/** One statement that only changes rows: there are none, and those that it inserts may refer to some. */
function isRowsOnly(sql: string): boolean {
  const tokens = tokenize(sql);
  const isOne = tokens.slice(0, -1).every((token) => !isOp(token, ';'));
  return isOne && ['insert', 'replace', 'update', 'delete'].some((word) => isWord(tokens[0], word));
}
