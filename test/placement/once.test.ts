import { env } from 'cloudflare:workers';
import { eq, inArray, sql } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Strategy, shardedDrizzle } from '../../src';
import { slotOf } from '../../src/placement/slots';
import { InterceptedD1 } from '../support/intercepted-d1';
import { Fleet, PLACES, rowsEverywhere } from '../support/isolates';
import { hashOwner } from '../support/owner';
import { shards } from '../support/shards';
import { failureOf, keysOf, migrated, posts, schema, tables, users } from './fixture';

const once = { exactlyOnce: true } as const;
const owner = hashOwner(['s0', 's1', 's2']);

/** A key of each shard. */
const [k0, k1, k2] = ['s0', 's1', 's2'].map((shard) => keysOf('k', 100).find((key) => owner(key) === shard)) as [
  string,
  string,
  string,
];

/** Connections that are lost, on any shard, once the test is about to begin. */
class Losses {
  /** How many there were. */
  happened = 0;
  isArmed = false;
  #seen = 0;

  constructor(
    /** Of a statement in the call. */
    readonly pattern: RegExp,
    /** Whether the database has done the work. */
    readonly when: 'before' | 'after',
    readonly times = 1,
    /** How many calls pass first: rehearsals, for instance. */
    readonly skip = 0,
    /** What others do before the loss is noticed. */
    readonly meanwhile: () => Promise<void> = async () => {},
  ) {}

  over(database: D1Database): D1Database {
    return new InterceptedD1(database, async (call, run) => {
      const isMet = this.isArmed && call.statements.some(({ sql }) => this.pattern.test(sql));
      const isLost = isMet && ++this.#seen > this.skip && this.happened < this.times;
      if (!isLost) return run();
      this.happened++;
      if (this.when === 'after') await run();
      await this.meanwhile();
      throw new Error('D1_ERROR: Network connection lost.');
    });
  }
}

const none = () => new Losses(/never/, 'before');

/** A router over databases with losses, and a user on each shard. */
async function connected(
  losses: Losses,
  options: { exactlyOnce?: boolean; strategy?: Strategy } = once,
  fleet = new Fleet('coordinator', env.KV),
) {
  const isolate = fleet.isolate();
  const over = Object.entries(isolate.config.shards).map(([name, database]) => [name, losses.over(database)]);
  const patience = { moveTimeout: 2000 };
  const config = { ...isolate.config, shards: Object.fromEntries(over) };
  const db = shardedDrizzle({ ...config, schema, tables, ...options, ...patience });
  await db.insert(users).values([k0, k1, k2].map((id) => ({ id, name: '' })));
  await db.insert(posts).values({ id: 1, userId: k0, body: '' });
  isolate.reset();
  losses.isArmed = true;
  return { db, isolate };
}

const names = async () => {
  const rows = await rowsEverywhere<{ id: string; name: string }>('select id, name from users', shards(3));
  return Object.fromEntries(rows.map(({ id, name }) => [id, name]));
};
/** Adds a letter each time it is applied. */
const longer = { name: sql`name || 'x'` };

/** What a move does first, and takes back a little later. */
async function freezeAll(): Promise<void> {
  const databases = Object.values(shards(3));
  const frozen = `insert into _shard_moves (id, side, kind, keyspace, lo, hi, phase) values (1, 'out', 'slots', 'default', 0, 16383, 'frozen')`;
  await Promise.all(databases.map((database) => database.prepare(frozen).run()));
  setTimeout(() => {
    for (const database of databases) void database.prepare('delete from _shard_moves').run();
  }, 150);
}

/** What a move of one key leaves behind on the two shards. */
async function moveKey(key: string, from: string, to: string): Promise<void> {
  const databases = shards(3);
  const [source, target] = [databases[from] as D1Database, databases[to] as D1Database];
  const name = await source.prepare('select name from users where id = ?').bind(key).first<string>('name');
  const record = `insert into _shard_keys (keyspace, key, slot, at, move) values ('default', ?, ?, ?, 1)`;
  const slot = String(slotOf(key));
  await target.batch([
    target.prepare('insert into users (id, name) values (?, ?)').bind(key, name),
    target.prepare(record).bind(key, slot, to),
  ]);
  await source.batch([
    source.prepare('delete from users where id = ?').bind(key),
    source.prepare(record).bind(key, slot, to),
    source.prepare('update _shard_identity set version = version + 1'),
  ]);
}

beforeEach(() => migrated());

describe('exactlyOnce', () => {
  describe.each(['before', 'after'] as const)('when the connection is lost %s the write was applied', (when) => {
    it('an update by key is applied once, and says what it changed', async () => {
      const lost = new Losses(/^update "users"/, when);
      const { db } = await connected(lost);
      const { meta, success } = await db.update(users).set(longer).where(eq(users.id, k1));
      expect([success, meta.changes]).toEqual([true, 1]);
      expect(await names()).toEqual({ [k0]: '', [k1]: 'x', [k2]: '' });
      expect(lost.happened).toBe(1);
    });

    it('an insert is applied once, and gives its row id', async () => {
      const lost = new Losses(/^insert into "posts"/, when);
      const { db } = await connected(lost);
      const { meta } = await db.insert(posts).values({ id: 77, userId: k2 });
      expect([meta.changes, meta.last_row_id]).toEqual([1, 77]);
      expect(await db.$count(posts)).toBe(2);
      expect(lost.happened).toBe(1);
    });

    it('an insert without an id is applied once', async () => {
      const lost = new Losses(/^insert into "posts"/, when);
      const { db } = await connected(lost);
      const { meta } = await db.insert(posts).values([{ userId: k2 }, { userId: k2 }]);
      expect(meta.changes).toBe(2);
      expect(await db.$count(posts)).toBe(3);
      expect(lost.happened).toBe(1);
    });

    it('a delete of several rows says how many', async () => {
      const lost = new Losses(/^delete from "posts"/, when);
      const { db } = await connected(lost);
      await db.insert(posts).values([
        { id: 2, userId: k0 },
        { id: 3, userId: k0 },
      ]);
      const { meta } = await db.delete(posts).where(eq(posts.userId, k0));
      expect(meta.changes).toBe(3);
      expect(await db.$count(posts)).toBe(0);
      expect(lost.happened).toBe(1);
    });

    it('a batch is applied once, and each statement says what it changed', async () => {
      const lost = new Losses(/^update "posts"/, when);
      const { db } = await connected(lost);
      const results = await db.batch([
        db.update(users).set(longer).where(eq(users.id, k0)),
        db.update(posts).set({ body: sql`body || 'x'` }).where(eq(posts.userId, k0)),
        db.update(users).set(longer).where(eq(users.id, k0)),
      ]);
      expect(results.map(({ meta }) => meta.changes)).toEqual([1, 1, 1]);
      expect((await names())[k0]).toBe('xx');
      expect(await rowsEverywhere('select body from posts', shards(3))).toMatchObject([{ body: 'x' }]);
      expect(lost.happened).toBe(1);
    });

    it('an update of keys on several shards is applied once on each', async () => {
      // Each shard tries it before, and rolls it back.
      const lost = new Losses(/^update "users"/, when, 2, 3);
      const { db } = await connected(lost);
      const { meta } = await db
        .update(users)
        .set(longer)
        .where(inArray(users.id, [k0, k1, k2]));
      expect(meta.changes).toBe(3);
      expect(await names()).toEqual({ [k0]: 'x', [k1]: 'x', [k2]: 'x' });
      expect(lost.happened).toBe(2);
    });

    it('an insert of rows on several shards is applied once on each', async () => {
      const lost = new Losses(/^insert into "posts"/, when, 2, 3);
      const { db } = await connected(lost);
      const { meta } = await db.insert(posts).values([k0, k1, k2].map((userId, i) => ({ id: 10 + i, userId })));
      expect(meta.changes).toBe(3);
      expect(await db.$count(posts)).toBe(4);
      expect(lost.happened).toBe(2);
    });

    it('an update of all shards is applied once on each', async () => {
      const lost = new Losses(/^update "users"/, when, 2, 3);
      const { db } = await connected(lost);
      const { meta } = await db.update(users).set(longer);
      expect(meta.changes).toBe(3);
      expect(await names()).toEqual({ [k0]: 'x', [k1]: 'x', [k2]: 'x' });
      expect(lost.happened).toBe(2);
    });

    it('a new key of a directory strategy is inserted once, on its shard', async () => {
      const lost = new Losses(/^insert into "users"/, when, 2);
      const { db } = await connected(lost, { ...once, strategy: () => 's1' });
      const { meta } = await db.insert(users).values({ id: 'new', name: 'x' });
      expect(meta.changes).toBe(1);
      expect(await rowsEverywhere("select name from users where id = 'new'", shards(3))).toEqual([
        { name: 'x', shard: 's1' },
      ]);
      expect(lost.happened).toBe(2);
    });
  });

  it('what was lost twice is applied once', async () => {
    const lost = new Losses(/^update "users"|_shard_writes where id = \?$/, 'after', 2);
    const { db } = await connected(lost);
    const { meta } = await db.update(users).set(longer).where(eq(users.id, k1));
    expect(meta.changes).toBe(1);
    expect((await names())[k1]).toBe('x');
    // The write itself, and the look at what became of it.
    expect(lost.happened).toBe(2);
  });

  it('rows of RETURNING that were lost cannot be had again: UNKNOWN_OUTCOME, applied once', async () => {
    const lost = new Losses(/^update "users"/, 'after');
    const { db } = await connected(lost);
    const error = await failureOf(db.update(users).set(longer).where(eq(users.id, k1)).returning());
    expect(error).toMatchObject({ code: 'UNKNOWN_OUTCOME', shard: 's1', tables: ['users'] });
    expect(error.message).toContain('was applied');
    expect((await names())[k1]).toBe('x');
  });

  it('rows of RETURNING come when the write had not been applied', async () => {
    const lost = new Losses(/^update "users"/, 'before');
    const { db } = await connected(lost);
    expect(await db.update(users).set(longer).where(eq(users.id, k1)).returning()).toEqual([{ id: k1, name: 'x' }]);
    expect((await names())[k1]).toBe('x');
  });

  it('a batch that reads, whose answer was lost, is UNKNOWN_OUTCOME, applied once', async () => {
    const lost = new Losses(/^update "users"/, 'after');
    const { db } = await connected(lost);
    const error = await failureOf(
      db.batch([db.update(users).set(longer).where(eq(users.id, k1)), db.select().from(users).where(eq(users.id, k1))]),
    );
    expect(error).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    expect((await names())[k1]).toBe('x');
  });

  it('a connection that stays lost is UNKNOWN_OUTCOME, as it is without exactlyOnce', async () => {
    const lost = new Losses(/^update "users"/, 'before', 9);
    const { db } = await connected(lost);
    const error = await failureOf(db.update(users).set(longer).where(eq(users.id, k1)));
    expect(lost.happened).toBe(4);
    expect(error).toMatchObject({ code: 'UNKNOWN_OUTCOME', shard: 's1' });
  });

  it.each([
    ['frozen for a while', freezeAll],
    ['moved to another shard', () => moveKey(k1, 's1', 's2')],
  ])(
    'a write that was applied is not applied again when its key was %s before that was noticed',
    async (_name, meanwhile) => {
      const lost = new Losses(/^update "users"/, 'after', 1, 0, meanwhile);
      const { db } = await connected(lost);
      const { meta } = await db.update(users).set(longer).where(eq(users.id, k1));
      expect(meta.changes).toBe(1);
      expect((await names())[k1]).toBe('x');
    },
  );

  it('a constraint that refuses the write is that error, and nothing is noted', async () => {
    const { db } = await connected(none());
    const error = await failureOf(db.insert(users).values({ id: k1, name: 'y' }));
    expect(error.message).toContain('UNIQUE constraint failed: users.id');
    expect((await names())[k1]).toBe('');
  });

  it('costs no round trip, and rows of the day before are taken away', async () => {
    const { db, isolate } = await connected(none());
    const day = (Date.now() - 25 * 60 * 60 * 1000).toString(36).padStart(9, '0');
    const d1 = shards(3).s1 as D1Database;
    await d1.prepare('insert into _shard_writes (id, answers) values (?, ?)').bind(`${day}-old`, '[]').run();
    isolate.reset();
    await db.update(users).set(longer).where(eq(users.id, k1));
    expect(isolate.calls).toEqual({ d1: 1, catalog: 0, kvReads: 0, kvWrites: 0 });
    const { results } = await d1.prepare('select id from _shard_writes order by id').all<{ id: string }>();
    expect(results.map(({ id }) => id)).not.toContain(`${day}-old`);
    // Reads note nothing.
    await db.select().from(users).where(eq(users.id, k1));
    expect(await d1.prepare('select count(*) as n from _shard_writes').first('n')).toBe(results.length);
  });
});

describe('without exactlyOnce, which is the default', () => {
  it.each(PLACES)(
    'a write whose answer was lost is UNKNOWN_OUTCOME, and is not repeated: catalog in the %s',
    async (place) => {
      const lost = new Losses(/^update "users"/, 'after', 9);
      const { db } = await connected(lost, {}, new Fleet(place));
      const error = await failureOf(db.update(users).set(longer).where(eq(users.id, k1)));
      expect(error).toMatchObject({ code: 'UNKNOWN_OUTCOME', shard: 's1' });
      expect(lost.happened).toBe(1);
      expect((await names())[k1]).toBe('x');
    },
  );

  it('nothing is noted', async () => {
    const { db } = await connected(none(), {});
    await db.update(users).set(longer).where(eq(users.id, k1));
    expect(await rowsEverywhere('select id from _shard_writes', shards(3))).toEqual([]);
  });
});
