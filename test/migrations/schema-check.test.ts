import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { migrateShards, SchemaBehindError, shardedDrizzle } from '../../src';
import { InterceptedD1 } from '../../src/testing';
import { failureOf } from '../placement/fixture';
import { failTimes, faultyD1 } from '../support/faulty-d1';
import { Fleet, PLACES, rowsEverywhere } from '../support/isolates';
import { resetDatabases } from '../support/reset';
import { shards } from '../support/shards';
import { bundleOf, FILES, foldersOf, open, users } from './fixture';

beforeEach(resetDatabases);

/** Three shards with the first migration, and code that expects the second. */
async function behind(place: (typeof PLACES)[number]) {
  const fleet = new Fleet(place);
  await migrateShards(open(fleet.isolate(3)), bundleOf(FILES.slice(0, 1)));
  const migrations = bundleOf(FILES.slice(0, 2));
  return { fleet, migrations, db: open(fleet.isolate(3), { migrations, schemaCheck: true }) };
}

describe.each(PLACES)('schemaCheck, the catalog in %s', (place) => {
  it('refuses reads and writes of shards that lack a migration, before anything is run', async () => {
    const { db } = await behind(place);
    const read = await failureOf(db.select({ id: users.id }).from(users).where(eq(users.id, 'a')));
    expect(read).toBeInstanceOf(SchemaBehindError);
    expect(read).toMatchObject({ code: 'SCHEMA_BEHIND' });
    expect((read as Error).message).toContain('lacks the migration 0001_visits');
    // It would have gone through: the column that it writes was there before.
    const write = await failureOf(db.run("insert into users (id) values ('a'), ('b'), ('c'), ('d')"));
    expect(write).toBeInstanceOf(SchemaBehindError);
    expect(await rowsEverywhere('select id from users', shards(3))).toEqual([]);
  });

  it('lets the shards pass that have it, and the others once they have it', async () => {
    const { db, fleet, migrations } = await behind(place);
    const [first = ''] = Object.keys(shards(3));
    await migrateShards(open(fleet.isolate(3)), migrations);
    await (shards(3)[first] as D1Database).prepare('delete from __drizzle_migrations where rowid = 2').run();
    const error = await failureOf(db.select().from(users));
    expect(error).toMatchObject({ code: 'SCHEMA_BEHIND', shard: first });
    await (shards(3)[first] as D1Database)
      .prepare('insert into __drizzle_migrations (hash, created_at) values (?, ?)')
      .bind('x', String(migrations.journal.entries[1]?.when))
      .run();
    expect(await db.select().from(users)).toEqual([]);
    // It is not asked again: migrations do not go back.
    await (shards(3)[first] as D1Database).prepare('drop table __drizzle_migrations').run();
    expect(await db.select().from(users)).toEqual([]);
  });
});

it('reads the folders of Drizzle 1.0', async () => {
  const fleet = new Fleet('coordinator');
  await migrateShards(open(fleet.isolate(3)), foldersOf(FILES.slice(0, 2)));
  const check = (count: number) =>
    open(fleet.isolate(3), { migrations: foldersOf(FILES.slice(0, count)), schemaCheck: true })
      .select()
      .from(users);
  expect(await check(2)).toEqual([]);
  expect(await failureOf(check(3))).toMatchObject({ code: 'SCHEMA_BEHIND' });
});

it('writes once where an answer was lost, also in the batch that asks', async () => {
  const { fleet, migrations } = await behind('coordinator');
  await migrateShards(open(fleet.isolate(3)), migrations);
  const { config } = fleet.isolate(3);
  const losing = Object.entries(config.shards).map(([name, database]) => [
    name,
    faultyD1(database, { failOn: failTimes(1, 'insert into users', 'Network connection lost'), when: 'after' }),
  ]);
  const options = { migrations, schemaCheck: true, exactlyOnce: true };
  const db = open({ config: { ...config, shards: Object.fromEntries(losing) } }, options);
  const { meta } = await db.run("insert into users (id, email) values ('a', 'x')");
  expect(meta.changes).toBe(1);
  expect(await rowsEverywhere('select id from users', shards(3))).toMatchObject([{ id: 'a' }]);
});

it('says what is missing without migrations', () => {
  const { config } = new Fleet('coordinator').isolate(3);
  expect(() => shardedDrizzle({ ...config, schemaCheck: true })).toThrow(/`schemaCheck` has no migrations/);
});

it('asks the primary where a replica lags', async () => {
  const [[name, primary]] = Object.entries(shards(1)) as [[string, D1Database]];
  const open = (d1: D1Database) =>
    shardedDrizzle({ shards: { [name]: d1 }, migrations: bundleOf(FILES), schemaCheck: true });
  class Lagging extends InterceptedD1 {
    override withSession(): D1DatabaseSession {
      const replica = new InterceptedD1(primary, ({ statements }, run) => {
        if (statements.some(({ sql }) => sql.includes('SCHEMA_BEHIND')))
          throw new Error("bad JSON path: 'SCHEMA_BEHIND'");
        return run();
      });
      return replica.withSession('first-unconstrained');
    }
  }
  const lagging = new Lagging(primary, (_call, run) => run());
  const read = () => open(lagging).$client.withSession('first-unconstrained').prepare('select id from users').all();
  const migrate = (count?: number) =>
    migrateShards(shardedDrizzle({ shards: { [name]: primary } }), bundleOf(FILES.slice(0, count)));
  await migrate(1);
  await expect(read()).rejects.toBeInstanceOf(SchemaBehindError);
  await migrate();
  expect((await read()).results).toEqual([]);
});
