import { desc, eq, getTableColumns, gt, inArray, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { beforeEach, describe, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { SLOTS } from '../../src/placement/slots';
import { Mover } from '../support/mover';
import { Random } from '../support/random';
import { plain, shards } from '../support/shards';
import { type Database, Fetched, fill, kinds, makeTables, open, parts, schema, tables, things } from './fixture';

/** To look for more: `VITE_PAGES_SEED=7`. */
const SEED = Number(import.meta.env.VITE_PAGES_SEED ?? 20261123);
const ROUNDS = Number(import.meta.env.VITE_PAGES_ROUNDS ?? 6);

const plainDb = () => drizzle(plain, { schema });

async function all<TRow>(rows: AsyncIterable<TRow>): Promise<TRow[]> {
  const list: TRow[] = [];
  for await (const row of rows) list.push(row);
  return list;
}

beforeEach(makeTables);

describe('the stream of a query', () => {
  it.each([1, 2, 5])('is what one database gives, over %i shards', async (count) => {
    const random = new Random(SEED + count);
    const db = open(count);
    const ids = await fill(db, random, 90);
    const columns = { ...getTableColumns(things), exact: sql<string>`quote(${things.mixed}) || quote(${things.big})` };
    const orders = [
      [],
      [desc(things.big), things.mixed],
      [things.label, desc(things.ratio)],
      [sql`${things.bytes} desc nulls first`, sql`${things.mixed} nulls last`],
      [sql`lower(${things.name})`, things.madeAt],
    ];
    for (const order of orders) {
      const query = (from: Pick<Database, 'select'>) => from.select(columns).from(things);
      const expected = await query(plainDb()).orderBy(...order, things.id);
      const chunk = 1 + random.below(30);
      const ordered = () => (order.length > 0 ? query(db).orderBy(...order) : query(db));
      expect(await all(db.$stream(ordered(), { chunk })), `chunk ${chunk}`).toEqual(expected);
      expect(await all(db.$stream(ordered()))).toEqual(expected);
    }
    const some = (from: Pick<Database, 'select'>) =>
      from
        .select()
        .from(things)
        .where(inArray(things.id, ids.slice(3, 50)));
    const found = await some(plainDb()).orderBy(things.name, things.id);
    expect(await all(db.$stream(some(db).orderBy(things.name), { chunk: 4 }))).toEqual(found);
  });

  it('of tables that are joined on the shard key', async () => {
    const db = open(3);
    await fill(db, new Random(SEED), 60);
    const joined = (from: Pick<Database, 'select'>) =>
      from
        .select()
        .from(things)
        .leftJoin(parts, eq(parts.thingId, things.id))
        .leftJoin(kinds, eq(kinds.code, parts.kind));
    const expected = await joined(plainDb()).orderBy(things.name, things.id, parts.id);
    expect(await all(db.$stream(joined(db).orderBy(things.name), { chunk: 5 }))).toEqual(expected);
    const own = await plainDb().select().from(kinds).orderBy(kinds.code);
    expect(await all(db.$stream(db.select().from(kinds), { chunk: 1 }))).toEqual(own);
  });

  it('ends with its LIMIT, which counts all rows', async () => {
    const fetched = new Fetched();
    const db = open(3, fetched);
    await fill(db, new Random(SEED), 40);
    const query = (limit: number) => db.select({ id: things.id }).from(things).orderBy(things.id).limit(limit);
    const whole = await query(100);
    for (const limit of [0, 1, 6, 17, 40, 41]) {
      expect(await all(db.$stream(query(limit), { chunk: 6 }))).toEqual(whole.slice(0, limit));
    }
    fetched.counts.length = 0;
    await all(db.$stream(query(4)));
    expect(fetched.counts.map(({ rows }) => rows)).toEqual([4, 4, 4]);
  });

  it('asks one shard at a time for one chunk, and reads no row twice', async () => {
    const fetched = new Fetched();
    const db = open(5, fetched);
    await fill(db, new Random(SEED), 500);
    fetched.counts.length = 0;
    const given: unknown[] = [];
    let before = 0;
    for await (const row of db.$stream(db.select().from(things).orderBy(things.name), { chunk: 20 })) {
      given.push(row);
      const asked = fetched.counts.length - before;
      before = fetched.counts.length;
      // All five at first, then the one whose rows have run out.
      expect(asked).toBeLessThanOrEqual(given.length === 1 ? 5 : 1);
      const read = fetched.counts.reduce((sum, { rows }) => sum + rows, 0);
      expect(read - given.length).toBeLessThanOrEqual(5 * 20);
    }
    expect(given).toHaveLength(500);
    expect(Math.max(...fetched.counts.map(({ rows }) => rows))).toBe(20);
    expect(fetched.counts.reduce((sum, { rows }) => sum + rows, 0)).toBe(500);
  });

  it('asks for nothing more once nobody reads on', async () => {
    const fetched = new Fetched();
    const db = open(3, fetched);
    await fill(db, new Random(SEED), 100);
    fetched.counts.length = 0;
    const stream = db.$stream(db.select().from(things), { chunk: 10 });
    for await (const { id } of stream) if (id) break;
    expect(fetched.counts).toHaveLength(3);
    expect(await stream.next()).toEqual({ value: undefined, done: true });
    expect(fetched.counts).toHaveLength(3);
  });
});

describe('while rows move', () => {
  const FLEET = [
    { name: 'things', key: 'id' },
    { name: 'parts', key: 'thing_id' },
  ];

  /** Moves keys and slots at random, a step at a time. */
  class Moves {
    #mover: Mover | undefined;
    done = 0;
    constructor(
      readonly random: Random,
      readonly ids: readonly string[],
    ) {}

    async step(): Promise<void> {
      if (!this.#mover) {
        const lo = this.random.below(SLOTS - 1000);
        const scope = this.random.pick([{ key: this.random.pick(this.ids) }, { slots: [lo, lo + 200] as const }]);
        try {
          this.#mover = await Mover.begin(
            { shards: shards(3), tables: FLEET },
            scope,
            this.random.pick(['s0', 's1', 's2']),
          );
        } catch (error) {
          if (!/locked|already/.test(String(error))) throw error;
        }
        return;
      }
      try {
        if (await this.#mover.next()) return;
      } catch (error) {
        // Slots of which a part has gone elsewhere.
        if (this.#mover.last !== 'open') throw error;
        await this.#mover.abort();
      }
      this.#mover = undefined;
      this.done++;
    }

    async finish(): Promise<void> {
      while (this.#mover) await this.step();
    }

    /** Steps now and then, and while the work waits for a move. */
    async during<T>(work: Promise<T>): Promise<T> {
      let isDone = false;
      const settled = work.finally(() => {
        isDone = true;
      });
      if (this.random.below(2) === 0) await this.step();
      while (!isDone) {
        await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, this.random.below(12)))]);
        if (!isDone) await this.step();
      }
      return settled;
    }
  }

  it.each(Array.from({ length: ROUNDS }, (_, i) => SEED + i))(
    'each row comes exactly once and in its order, seed %i',
    async (seed) => {
      const random = new Random(seed);
      const fetched = new Fetched();
      const db = open(3, fetched);
      const ids = await fill(db, random, 80);
      const moves = new Moves(random, ids);
      const joined = (from: Pick<Database, 'select'>, list?: string[]) =>
        from
          .select({ id: things.id, name: things.name, part: parts.id })
          .from(things)
          .leftJoin(parts, eq(parts.thingId, things.id))
          .where(list && inArray(things.id, list));
      // All rows, and those of some keys, of which each shard is told its own.
      for (const list of [undefined, undefined, ids.slice(0, 60), ids.slice(20, 50)]) {
        const expected = await joined(plainDb(), list).orderBy(desc(things.name), things.id, parts.id);
        const found: unknown[] = [];
        const stream = db.$stream(joined(db, list).orderBy(desc(things.name)), { chunk: 1 + random.below(9) });
        for (;;) {
          const { value, done } = await moves.during(stream.next());
          if (done) break;
          found.push(value);
        }
        await moves.finish();
        expect(found).toEqual(expected);
      }
      expect(moves.done).toBeGreaterThan(5);
    },
  );

  it('a key that moves behind the back of the stream is not lost, nor comes twice', async () => {
    const fetched = new Fetched();
    const db = open(2, fetched);
    await fill(db, new Random(SEED), 60);
    const expected = await plainDb().select().from(things).orderBy(things.name, things.id);
    const other = shardedDrizzle({ schema, tables, shards: shards(2) });
    const found: (typeof expected)[number][] = [];
    for await (const row of db.$stream(db.select().from(things).orderBy(things.name), { chunk: 5 })) {
      found.push(row);
      if (found.length % 10 !== 1) continue;
      // The last rows of all go to the other shard, and some that were given out already.
      for (const { id } of [...expected.slice(-3), ...expected.slice(0, 2)]) {
        const away = Math.floor(found.length / 10) % 2 === 0 ? 's0' : 's1';
        await other.$cluster.reassign(id, away);
      }
    }
    expect(found).toEqual(expected);
    // Moves have made it begin anew.
    expect(fetched.counts.reduce((sum, { rows }) => sum + rows, 0)).toBeGreaterThan(expected.length);
  });

  it('rows that are there before and after come once, whatever is written beside them', async () => {
    const db = open(3);
    const ids = await fill(db, new Random(SEED), 60);
    const random = new Random(SEED);
    const found: string[] = [];
    for await (const { id } of db.$stream(db.select({ id: things.id }).from(things).where(gt(things.id, '')), {
      chunk: 4,
    })) {
      found.push(id);
      const added = `t${random.below(10)}-new${found.length}`;
      await db.insert(things).values({ id: added, name: 'new' });
      if (random.below(2) === 0) await db.delete(things).where(eq(things.id, added));
    }
    expect(new Set(found).size).toBe(found.length);
    expect([...found]).toEqual([...found].sort());
    expect(found.filter((id) => !id.includes('new'))).toEqual([...ids].sort());
  });
});
