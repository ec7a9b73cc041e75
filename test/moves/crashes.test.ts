import { eq } from 'drizzle-orm';
import { beforeAll, describe, expect, it } from 'vitest';
import { slotOf } from '../../src/placement/slots';
import { type Database, keysOf, migrated, open, posts, users } from '../placement/fixture';
import { Fleet, rowsEverywhere } from '../support/isolates';
import { ACCIDENTS, type Accident, Mortal } from '../support/mortal';
import { shards } from '../support/shards';

const KEYS = keysOf('u', 6);
const MOVING = 'u3';
/** Slots with some of the keys; that of u4 is among them, which has a record of its own. */
const RANGE = { lo: 0, hi: 8000 };
/** Slots without any key: no count of rows tells a late step that it is late. */
const EMPTY = { lo: 16_000, hi: 16_100 };

/** What moves, and between which shards; both directions in turn. */
const SCOPES = {
  key: {
    shards: ['s1', 's2'],
    run: (db: Database, to: 's1' | 's2') => db.$cluster.reassign(MOVING, to),
  },
  slots: {
    shards: ['s1', 's2'],
    run: (db: Database, to: 's1' | 's2') => db.$cluster.moveSlots(RANGE, to),
  },
  'slots without rows': {
    shards: ['s1', 's2'],
    run: (db: Database, to: 's1' | 's2') => db.$cluster.moveSlots(EMPTY, to),
  },
} as const;

describe.each([
  ['coordinator', ACCIDENTS],
  // The programs are the same there: the hardest accident tells whether they are run in the same order.
  ['first D1', ['stall before']],
] as const)('a mover that stops, the catalog in the %s', (place, accidents) => {
  let fleet: Fleet;
  /** What the rows must be: changed by every write that was acknowledged. */
  const expected = new Map<string, string>();
  let writes = 0;

  const router = (moveTimeout = 5000) => open(fleet.isolate(), { moveTimeout });
  const query = (db: Database) => db.select().from(users).orderBy(users.id);
  const model = () => [...expected].map(([id, name]) => ({ id, name })).sort((a, b) => (a.id < b.id ? -1 : 1));

  beforeAll(async () => {
    await migrated();
    fleet = new Fleet(place);
    const db = router();
    await db.insert(users).values(KEYS.map((id) => ({ id, name: 'new' })));
    await db.insert(posts).values(
      KEYS.flatMap((userId) => [
        { userId, body: 'a' },
        { userId, body: 'b' },
      ]),
    );
    for (const id of KEYS) expected.set(id, 'new');
    for (const slots of [RANGE, EMPTY]) await db.$cluster.moveSlots(slots, 's1');
    expect(KEYS.map((id) => slotOf(id)).filter((slot) => slot >= EMPTY.lo && slot <= EMPTY.hi)).toEqual([]);
    await db.$cluster.reassign(MOVING, 's1');
    await db.$cluster.reassign('u4', 's0');
  });

  /** Who has slots and keys now. */
  async function isOn(scope: keyof typeof SCOPES): Promise<'s1' | 's2'> {
    if (scope !== 'key') {
      const slot = scope === 'slots' ? RANGE.lo : EMPTY.lo;
      const [row] = await fleet.catalog(`select shard from _shard_catalog_slots where ${slot} between lo and hi`);
      return row?.shard as 's1' | 's2';
    }
    const [row] = await rowsEverywhere(`select id from users where id = '${MOVING}'`);
    return row?.shard as 's1' | 's2';
  }

  /** Reads never miss a row and never wait; a scatter is right or refused. Writes are refused or last. */
  async function checkMeanwhile(): Promise<void> {
    const db = router(25);
    await Promise.all(
      KEYS.map(async (id) => {
        expect(await db.select().from(users).where(eq(users.id, id))).toEqual([{ id, name: expected.get(id) }]);
        expect(await db.$count(posts, eq(posts.userId, id))).toBe(2);
      }),
    );
    const all = await settled(query(db));
    if ('value' in all) expect(all.value).toEqual(model());
    else expect(codeOf(all.error)).toBe('STALE_ROUTE');
    const name = `meanwhile ${++writes}`;
    const written = await settled(db.update(users).set({ name }).where(eq(users.id, MOVING)));
    if ('value' in written) expected.set(MOVING, name);
    else expect(codeOf(written.error)).toBe('MOVE_IN_PROGRESS');
  }

  /** Every row on one shard, nothing locked, nothing left behind. */
  async function checkAfterwards(): Promise<void> {
    expect(await fleet.catalog("select id from _shard_catalog_moves where state = 'open'")).toEqual([]);
    expect(await fleet.catalog("select id from _shard_catalog_jobs where state = 'running'")).toEqual([]);
    const stuck =
      "select id from _shard_moves where side in ('in', 'out') and phase not in ('closed', 'aborted', 'released')";
    expect(await rowsEverywhere(stuck, shards(3))).toEqual([]);
    const owners = (await rowsEverywhere<{ id: string }>('select id from users')).map(({ id }) => id).sort();
    expect(owners).toEqual([...KEYS].sort());
    const db = router();
    await Promise.all(
      KEYS.map(async (id) => {
        const name = `afterwards ${++writes}`;
        await db.update(users).set({ name }).where(eq(users.id, id));
        expected.set(id, name);
        expect(await db.select().from(users).where(eq(users.id, id))).toEqual([{ id, name }]);
      }),
    );
    expect(await query(db)).toEqual(model());
    expect(await db.$count(posts)).toBe(2 * KEYS.length);
    // A write to all rows needs every pin.
    expect((await db.update(posts).set({ body: 'x' })).meta.changes).toBe(2 * KEYS.length);
  }

  async function start(scope: keyof typeof SCOPES) {
    const mortal = new Mortal(fleet.isolate().config);
    const db = open({ config: mortal.config }, { moveTimeout: 5000 });
    await db.$cluster.shards();
    const to = (await isOn(scope)) === 's1' ? 's2' : 's1';
    return { mortal, begin: () => settled<unknown>(SCOPES[scope].run(db, to)) };
  }

  async function recordedCalls(scope: keyof typeof SCOPES): Promise<number> {
    const { mortal, begin } = await start(scope);
    mortal.dooms(undefined);
    expect(await begin()).toHaveProperty('value');
    return mortal.calls.length;
  }

  // What a sleeper does to slots without rows it does to the shards: the place of the catalog changes nothing.
  const scopes = (Object.keys(SCOPES) as (keyof typeof SCOPES)[]).filter(
    (scope) => place === 'coordinator' || scope !== 'slots without rows',
  );
  it.each(scopes)('leaves a move of a %s whole or undone, wherever it stops', { timeout: 240_000 }, async (scope) => {
    const calls = await recordedCalls(scope);
    expect(calls).toBeGreaterThan(10);
    // What a sleeper does later is all that rows have to do with.
    const those = scope === 'slots without rows' ? (['stall before'] as const) : accidents;
    for (let at = 0; at < calls; at++) {
      for (const accident of those) await survive(scope, at, accident);
    }
    await checkAfterwards();
  });

  async function survive(scope: keyof typeof SCOPES, at: number, accident: Accident): Promise<void> {
    const from = await isOn(scope);
    const { mortal, begin } = await start(scope);
    mortal.dooms(at, accident);
    const ended = begin();
    await Promise.race([mortal.stopped, ended]);
    const where = `${accident} call ${at}: ${mortal.calls[at]}`;
    try {
      if (accident === 'lose answer') {
        expect(await ended).toHaveProperty('value');
        return await checkAfterwards();
      }
      // A sleeper leaves the databases as one that died.
      if (accident.startsWith('die')) await checkMeanwhile();
      await fleet.catalog('update _shard_catalog_jobs set leased_until = 0');
      await router().$cluster.resume();
      await checkAfterwards();
      // A move back makes room for what the sleeper has in mind: only that it is late speaks against it.
      if (scope === 'slots without rows') await SCOPES[scope].run(router(), from);
      mortal.wake();
      await ended;
      if (accident === 'stall before') await checkAfterwards();
    } catch (error) {
      throw new Error(`After ${where}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
});

const settled = <T>(promise: PromiseLike<T>): Promise<{ value: T } | { error: unknown }> =>
  Promise.resolve(promise).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );

function codeOf(error: unknown): string | undefined {
  const { code, cause } = error as { code?: string; cause?: { code?: string } };
  return cause?.code ?? code;
}
