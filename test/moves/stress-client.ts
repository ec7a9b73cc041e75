import { count, eq, inArray, type SQL, sql } from 'drizzle-orm';
import { type Database, posts, users } from '../placement/fixture';
import type { Entry } from '../support/history';
import type { Span } from '../support/history-chain';
import type { Random } from '../support/random';
import type { Stress } from './stress';

/** What clients do, by how often. */
export interface Mix {
  readonly writes: Readonly<Record<Write, number>>;
  readonly reads: Readonly<Record<Read, number>>;
  /** The longest pause between two statements of a client, in milliseconds. */
  readonly pauseMs: number;
}

type Write = 'append' | 'append with post' | 'come or go' | 'append to all';
type Read = 'row' | 'row and posts' | 'some rows' | 'count' | 'all rows' | 'all rows, gathered' | 'posts of all';

/** Inserts and deletes of one key take turns. */
export class KeyLocks {
  readonly #held = new Set<string>();
  readonly #live = new Set<string>();

  /** Undefined when another client is at it. */
  take(key: string): { readonly isLive: boolean; readonly release: (isLive: boolean) => void } | undefined {
    if (this.#held.has(key)) return undefined;
    this.#held.add(key);
    const release = (isLive: boolean) => {
      this.#held.delete(key);
      if (isLive) this.#live.add(key);
      else this.#live.delete(key);
    };
    return { isLive: this.#live.has(key), release };
  }
}

/** An entry but for its times. */
type Told<T = Entry> = T extends Entry ? Omit<T, keyof Span> : never;

/** A statement, and what the history is told of it. */
interface Act<A> {
  readonly name: Write | Read;
  readonly key?: string;
  readonly run: (db: Database) => Promise<A>;
  readonly told: (answer: A) => readonly Told[];
  /** What a write may have done whose answer is an error. */
  readonly unanswered?: Told;
}

/** One of many who use the cluster at once: does one thing after the other, and notes what it was told. */
export class Client {
  constructor(
    readonly stress: Stress,
    readonly random: Random,
  ) {}

  async insertSteady(): Promise<void> {
    for (const key of this.stress.steady) await this.#insert(key);
  }

  async write(): Promise<void> {
    const { writes } = this.stress.options.mix;
    while (await this.#goesOn()) await this.#write(this.random.weighted(writes));
  }

  async read(): Promise<void> {
    const { reads } = this.stress.options.mix;
    while (await this.#goesOn()) await this.#read(this.random.weighted(reads));
  }

  /** Each key, and all rows, by this router. */
  async readEverything(db: Database): Promise<void> {
    const { steady, passing } = this.stress;
    for (const key of [...steady, ...passing]) await this.#readRow(key, db);
    await this.#read('all rows', db);
    await this.#read('posts of all', db);
  }

  async #goesOn(): Promise<boolean> {
    const ms = this.random.share() * this.stress.options.mix.pauseMs;
    await new Promise((resolve) => setTimeout(resolve, ms));
    return !this.stress.isOver;
  }

  #write(name: Write): Promise<unknown> {
    switch (name) {
      case 'append':
        return this.#append(this.#anyKey());
      case 'append with post':
        // The rows of these are always there: a post of none would be left over.
        return this.#appendWithPost(this.random.pick(this.stress.steady));
      case 'come or go':
        return this.#comeOrGo();
      case 'append to all':
        return this.#appendToAll();
    }
  }

  #append(key: string): Promise<unknown> {
    const token = this.stress.history.token('a');
    return this.#do({
      name: 'append',
      key,
      run: (db) => db.update(users).set(withToken(token)).where(eq(users.id, key)),
      told: ({ meta: { changes } }) => [{ kind: 'append', key, token, changes }],
      unanswered: { kind: 'append', key, token },
    });
  }

  #appendWithPost(key: string): Promise<unknown> {
    const token = this.stress.history.token('p');
    return this.#do({
      name: 'append with post',
      key,
      run: (db) =>
        db.batch([
          db.update(users).set(withToken(token)).where(eq(users.id, key)),
          db.insert(posts).values({ userId: key, body: token }),
        ]),
      told: ([{ meta }]) => [{ kind: 'append', key, token, changes: meta.changes }],
      unanswered: { kind: 'append', key, token },
    });
  }

  #appendToAll(): Promise<unknown> {
    const token = this.stress.history.token('s');
    return this.#do({
      name: 'append to all',
      run: (db) => db.update(users).set(withToken(token)),
      told: ({ meta: { changes } }) => [{ kind: 'append to all', token, changes }],
      unanswered: { kind: 'append to all', token, changes: 0 },
    });
  }

  async #comeOrGo(): Promise<void> {
    const { mayPass, passing, locks } = this.stress;
    if (!mayPass || passing.length === 0) return;
    const key = this.random.pick(passing);
    const lock = locks.take(key);
    if (!lock) return;
    await (lock.isLive ? this.#delete(key) : this.#insert(key));
    lock.release(!lock.isLive);
  }

  #insert(key: string): Promise<unknown> {
    const token = this.stress.history.token('i');
    const told: Told = { kind: 'insert', key, token };
    return this.#do({
      name: 'come or go',
      key,
      run: (db) => db.insert(users).values({ id: key, name: token }),
      told: () => [told],
      unanswered: told,
    });
  }

  #delete(key: string): Promise<unknown> {
    return this.#do({
      name: 'come or go',
      key,
      run: (db) =>
        db.batch([
          db.delete(posts).where(eq(posts.userId, key)),
          db.delete(users).where(eq(users.id, key)).returning({ name: users.name }),
        ]),
      told: ([, [row]]) => [{ kind: 'delete', key, value: row?.name ?? null }],
      unanswered: { kind: 'delete', key, value: null },
    });
  }

  #read(name: Read, router?: Database): Promise<unknown> {
    switch (name) {
      case 'row':
        return this.#readRow(this.#anyKey(), router);
      case 'row and posts':
        return this.#readRowAndPosts(this.random.pick(this.stress.steady));
      case 'some rows':
        return this.#readSome([...new Set([this.#anyKey(), this.#anyKey(), this.#anyKey()])]);
      case 'count':
        return this.#count(this.random.pick(['rows', 'posts'] as const));
      case 'all rows':
        return this.#do({ name, run: (db) => db.select().from(users), told: (rows) => [readAll(rows)] }, router);
      case 'all rows, gathered':
        return this.#readGathered();
      case 'posts of all':
        return this.#do(
          {
            name,
            run: (db) => db.select({ key: posts.userId, n: count() }).from(posts).groupBy(posts.userId),
            told: (rows) => [{ kind: 'posts of all', counts: rows.map(({ key, n }) => [key, n] as const) }],
          },
          router,
        );
    }
  }

  #readRow(key: string, router?: Database): Promise<unknown> {
    const run = (db: Database) => db.select().from(users).where(eq(users.id, key));
    return this.#do({ name: 'row', key, run, told: (rows) => readOf([key], rows) }, router);
  }

  #readRowAndPosts(key: string): Promise<unknown> {
    return this.#do({
      name: 'row and posts',
      key,
      run: (db) =>
        db.batch([
          db.select().from(users).where(eq(users.id, key)),
          db.select().from(posts).where(eq(posts.userId, key)),
        ]),
      told: ([[row], found]) => [
        { kind: 'read', key, value: row?.name ?? null, posts: found.map(({ body }) => String(body)) },
      ],
    });
  }

  #readSome(keys: readonly string[]): Promise<unknown> {
    const run = (db: Database) =>
      db
        .select()
        .from(users)
        .where(inArray(users.id, [...keys]));
    return this.#do({ name: 'some rows', run, told: (rows) => readOf(keys, rows) });
  }

  #count(of: 'rows' | 'posts'): Promise<unknown> {
    return this.#do({
      name: 'count',
      run: async (db) => db.$count(of === 'rows' ? users : posts),
      told: (found) => [{ kind: 'count', of, found }],
    });
  }

  /** A window over all rows: they are fetched from all shards, and numbered on one. */
  #readGathered(): Promise<unknown> {
    const place = sql<number>`row_number() over (order by ${users.id})`;
    return this.#do({
      name: 'all rows, gathered',
      run: (db) => db.select({ id: users.id, name: users.name, place }).from(users).orderBy(users.id),
      told: (rows) => {
        if (rows.some((row, i) => row.place !== i + 1)) this.stress.fail('all rows, gathered', 'numbered wrong');
        return [readAll(rows)];
      },
    });
  }

  #anyKey(): string {
    const { steady, passing } = this.stress;
    return this.random.pick([...steady, ...passing]);
  }

  /** Runs a statement, and notes when, with what it was told. */
  async #do<A>(act: Act<A>, router = this.stress.router(this.random)): Promise<void> {
    const { name, key, run, told, unanswered } = act;
    const { history } = this.stress;
    const begin = history.tick();
    try {
      const answer = await run(router);
      const end = history.tick();
      for (const one of told(answer)) history.entries.push({ ...one, begin, end });
      this.stress.count(name);
    } catch (error) {
      if (unanswered) history.entries.push({ ...unanswered, begin, end: Number.POSITIVE_INFINITY });
      this.stress.fail(key === undefined ? name : `${name}, ${key}`, error);
    }
  }
}

interface UserRow {
  readonly id: string;
  readonly name: string;
}

const withToken = (token: string): { name: SQL<string> } => ({ name: sql`${users.name} || ${`,${token}`}` });

const readAll = (rows: readonly UserRow[]): Told => ({
  kind: 'read all',
  rows: rows.map(({ id, name }) => [id, name] as const),
});

/** What a list of keys was answered with: a key that comes twice was read as two rows. */
const readOf = (keys: readonly string[], rows: readonly UserRow[]): Told[] =>
  keys.flatMap((key): Told[] => {
    const values = rows.filter(({ id }) => id === key).map(({ name }) => name);
    if (values.length > 1) return [{ kind: 'read twice', key, values }];
    return [{ kind: 'read', key, value: values[0] ?? null }];
  });
