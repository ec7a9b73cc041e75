import { env, runDurableObjectAlarm } from 'cloudflare:test';
import { eq, sql } from 'drizzle-orm';
import { blob, integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { failureOf } from '../placement/fixture';
import { InterceptedD1 } from '../support/intercepted-d1';
import { Fleet, type Isolate, type Place, rowsEverywhere } from '../support/isolates';
import { ACCIDENTS, type Accident, Mortal } from '../support/mortal';
import { resetDatabases } from '../support/reset';
import { runEverywhere } from '../support/seed';
import { shards } from '../support/shards';

const users = sqliteTable('users', { id: text('id').primaryKey() });
const countries = sqliteTable('countries', {
  code: text('code').primaryKey(),
  n: integer('n').notNull(),
  flag: blob('flag', { mode: 'buffer' }),
  area: real('area'),
  note: text('note'),
});

const DDL = [
  'create table users (id text primary key)',
  'create table countries (code text primary key, n integer not null, flag blob, area real, note text)',
];

const open = ({ config }: Pick<Isolate, 'config'>, moveTimeout = 5000) =>
  shardedDrizzle({
    ...config,
    schema: { users, countries },
    tables: { countries: { replicated: true } },
    moveTimeout,
  });
type Database = ReturnType<typeof open>;

const FLAG = Buffer.from([0, 255, 128, 10]);
/** Begins with 10 everywhere. Adding 1 once, before or after the other write multiplies by 10, tells who came first. */
const addOne = (db: Database) =>
  db
    .update(countries)
    .set({ n: sql`${countries.n} + 1`, flag: FLAG, area: -0.5, note: 'é😀' })
    .where(eq(countries.code, 'nl'))
    .returning();
const timesTen = (db: Database) => db.update(countries).set({ n: sql`${countries.n} * 10` });

type Row = { shard: string; n: number; flag: string | null; area: number | null; note: string | null };
const copies = () => rowsEverywhere<Row>('select n, hex(flag) as flag, area, note from countries', shards(3));

/** What all shards have; a failure when they differ. */
async function valueEverywhere(): Promise<number> {
  const rows = await copies();
  const [{ shard: _, ...first }] = rows as [Row, ...Row[]];
  expect(rows).toEqual(['s0', 's1', 's2'].map((shard) => ({ shard, ...first })));
  if (first.n % 10 === 1 || first.n === 110) expect(first).toMatchObject({ flag: '00FF800A', area: -0.5, note: 'é😀' });
  return first.n;
}

async function settled<T>(promise: PromiseLike<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error };
  }
}

async function begun(place: Place): Promise<{ fleet: Fleet; mortal: Mortal; dying: Database }> {
  await resetDatabases();
  await runEverywhere(shards(3), DDL);
  const fleet = new Fleet(place);
  await open(fleet.isolate()).insert(countries).values({ code: 'nl', n: 10 });
  const mortal = new Mortal(fleet.isolate().config);
  const dying = open({ config: mortal.config });
  await dying.select().from(countries);
  return { fleet, mortal, dying };
}

/** As if the writer had not been heard of for long. */
const age = (fleet: Fleet) => fleet.catalog('update _shard_catalog_writes set touched = touched - 60000');

async function expectNothingLeft(fleet: Fleet): Promise<void> {
  expect(await fleet.catalog('select id from _shard_catalog_writes')).toEqual([]);
  expect(await fleet.catalog('select write from _shard_catalog_write_parts')).toEqual([]);
  expect(await rowsEverywhere("select id from _shard_moves where side = 'pin'", shards(3))).toEqual([]);
}

/** The batch that applies the write, and not the one that tries it. */
const isPart = (texts: readonly string[]): boolean =>
  texts.some((one) => one.startsWith('update "countries"')) && texts.some((one) => one.includes("'redo'"));

async function recordedCalls(place: Place): Promise<string[]> {
  const { mortal, dying } = await begun(place);
  mortal.dooms(undefined);
  expect(await addOne(dying)).toMatchObject([{ n: 11, flag: FLAG, area: -0.5, note: 'é😀' }]);
  return [...mortal.calls];
}

describe.each([
  ['coordinator', ACCIDENTS],
  // The programs are the same there: the hardest accident tells whether they are run in the same order.
  ['first D1', ['stall before']],
] as const)('a writer of a table that is whole on every shard, the catalog in the %s', (place, accidents) => {
  it.each(accidents)(
    'stops at any of its calls (%s): all shards have its write once, or none has it',
    async (accident) => {
      const calls = await recordedCalls(place);
      // Journal, 3 pins, 3 rehearsals, commit, 3 parts, end.
      expect(calls).toHaveLength(12);
      for (const at of calls.keys()) await stopAt(place, accident, at);
    },
  );
});

async function stopAt(place: Place, accident: Accident, at: number): Promise<void> {
  const { fleet, mortal, dying } = await begun(place);
  mortal.dooms(at, accident);
  const first = settled(addOne(dying));
  await Promise.race([mortal.stopped, first]);
  await age(fleet);
  // Whoever writes next finishes it, or undoes it.
  await timesTen(open(fleet.isolate()));
  const between = await valueEverywhere();
  expect([100, 110, 101], `${accident} ${at}`).toContain(between);
  mortal.wake();
  const outcome = await first;
  const after = await valueEverywhere();
  if (between !== 100) expect(after).toBe(between);
  // A sleeper that was undone does all of it again, as nothing of it was there.
  else expect(after).toBe('value' in outcome ? 101 : 100);
  if ('value' in outcome) expect(outcome.value).toHaveLength(1);
  await age(fleet);
  await open(fleet.isolate()).$cluster.resume();
  await expectNothingLeft(fleet);
  expect((await open(fleet.isolate()).$cluster.verify()).text).toMatch('all is well');
}

describe('a write to a table that is whole on every shard', () => {
  let fleet: Fleet;
  let mortal: Mortal;
  let dying: Database;
  beforeEach(async () => {
    ({ fleet, mortal, dying } = await begun('coordinator'));
  });

  const dies = async (at = 'decideWrite') => {
    mortal.dooms(at, 'die after');
    await expect(addOne(dying)).rejects.toThrow();
    await age(fleet);
  };

  it('is finished by the alarm of the coordinator, which then sleeps', async () => {
    await dies();
    const namespace = env.SHARD_COORDINATOR;
    const stub = namespace.get(namespace.idFromName(fleet.cluster));
    await runDurableObjectAlarm(stub);
    expect(await valueEverywhere()).toBe(11);
    await expectNothingLeft(fleet);
    expect(await runDurableObjectAlarm(stub)).toBe(false);
  });

  it('is told of by verify, and finished by its repair', async () => {
    await dies();
    const { $cluster } = open(fleet.isolate());
    expect((await $cluster.verify()).findings).toMatchObject([
      { kind: 'unfinished', remedy: expect.stringMatching('resume') },
    ]);
    await $cluster.verify({ repair: true });
    expect(await valueEverywhere()).toBe(11);
    await expectNothingLeft(fleet);
  });

  it('is finished before a shard that joins gets the rows, and before rows move', async () => {
    await dies();
    const db = open(fleet.isolate(4));
    for (const ddl of DDL) await (shards(4).s3 as D1Database).prepare(ddl).run();
    await db.$cluster.addShard('s3');
    expect((await rowsEverywhere<Row>('select n from countries', shards(4))).map(({ n }) => n)).toEqual([
      11, 11, 11, 11,
    ]);
    await db.$cluster.rebalance();
    await expectNothingLeft(fleet);
  });

  it('is waited for while its writer is heard of, and no longer than moveTimeout', async () => {
    mortal.dooms('decideWrite', 'die after');
    await expect(addOne(dying)).rejects.toThrow();
    expect(await failureOf(timesTen(open(fleet.isolate(), 50)))).toMatchObject({ code: 'MOVE_IN_PROGRESS' });
    expect(await valueEverywhere()).toBe(10);
  });

  it('that one shard does not answer to is finished later, and its error says so', async () => {
    const { config } = fleet.isolate();
    const s1 = new InterceptedD1(config.shards.s1 as D1Database, ({ statements }, run) =>
      isPart(statements.map(({ sql }) => sql))
        ? Promise.reject(new Error('D1 DB is overloaded. Requests queued for too long.'))
        : run(),
    );
    const db = open({ config: { ...config, shards: { ...config.shards, s1 } } });
    const error = await failureOf(addOne(db));
    expect(error).toMatchObject({ code: 'PARTIAL_WRITE', remedy: expect.stringMatching('Do not write it again') });
    expect((await copies()).map(({ n }) => n)).toEqual([11, 10, 11]);
    await age(fleet);
    await timesTen(open(fleet.isolate()));
    expect(await valueEverywhere()).toBe(110);
    await expectNothingLeft(fleet);
  });

  it('that one shard refuses for its rows is given up there, and verify shows where', async () => {
    await (shards(3).s1 as D1Database).prepare("insert into countries (code, n) values ('be', 1)").run();
    const db = open(fleet.isolate());
    const error = await failureOf(db.insert(countries).values({ code: 'be', n: 2 }));
    expect(error.message).toContain('UNIQUE constraint failed');
    expect(await rowsEverywhere("select n from countries where code = 'be'", shards(3))).toEqual([
      { shard: 's1', n: 1 },
    ]);
    await expectNothingLeft(fleet);
    expect(await addOne(db)).toMatchObject([{ n: 11 }]);
    expect((await db.$cluster.verify()).findings).toMatchObject([{ kind: 'replica' }]);
  });

  it('is journaled whole, however long', async () => {
    const note = `${'x'.repeat(599_900)}${'😀'.repeat(200_000)}`;
    mortal.dooms('decideWrite', 'die after');
    await expect(dying.update(countries).set({ note })).rejects.toThrow();
    await age(fleet);
    await open(fleet.isolate()).$cluster.resume();
    expect(await open(fleet.isolate()).select({ note: countries.note }).from(countries)).toEqual([{ note }]);
    expect(new Set((await copies()).map((row) => row.note)).size).toBe(1);
  });
});
