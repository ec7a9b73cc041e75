import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { eq, sum } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { afterEach, describe, expect, it } from 'vitest';
import { RemoteClient } from '../../src/cli/remote/client';
import { type DatabaseInfo, databaseByName } from '../../src/cli/remote/databases';
import { httpD1 } from '../../src/cli/remote/http-d1';
import { migrateShards, shardedDrizzle } from '../../src/node';
import type { Backend } from './support/backend';
import { shardsOf } from './support/client';
import { D1ApiServer } from './support/d1-api-server';
import { MiniflareBackend } from './support/miniflare-backend';
import { SimulatedBackend } from './support/simulated-backend';

const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name').notNull() });
const posts = sqliteTable('posts', {
  id: integer('id').primaryKey(),
  userId: text('user_id')
    .notNull()
    .references(() => users.id),
  stars: integer('stars').notNull(),
});
const countries = sqliteTable('countries', { code: text('code').primaryKey() });
const schema = { users, posts, countries };

const MIGRATIONS = [
  'CREATE TABLE `users` (`id` text PRIMARY KEY NOT NULL, `name` text NOT NULL);\n--> statement-breakpoint\nCREATE TABLE `countries` (`code` text PRIMARY KEY NOT NULL);',
  'CREATE TABLE `posts` (`id` integer PRIMARY KEY NOT NULL, `user_id` text NOT NULL REFERENCES `users`(`id`), `stars` integer NOT NULL);',
];

/** As drizzle-kit 0.31 bundles them. */
const bundle = {
  journal: {
    version: '7',
    dialect: 'sqlite',
    entries: MIGRATIONS.map((_, idx) => ({
      idx,
      version: '6',
      when: Date.UTC(2026, 0, 1 + idx),
      tag: `000${idx}_step`,
      breakpoints: true,
    })),
  },
  migrations: Object.fromEntries(MIGRATIONS.map((sql, idx) => [`m000${idx}`, sql])),
};

let server: D1ApiServer | undefined;
afterEach(async () => {
  await server?.close();
  await server?.backend.dispose();
});

const BACKENDS: readonly (readonly [string, () => Backend])[] = [
  ['real D1', () => new MiniflareBackend({ databases: 3 })],
  ['simulated databases', () => new SimulatedBackend(3)],
];

describe.each(BACKENDS)('a cluster over HTTP, of %s', (_, backendOf) => {
  it('is migrated, written to, read across its shards, moved about and verified', async () => {
    server = await D1ApiServer.start({ backend: backendOf() });
    const db = shardedDrizzle({
      schema,
      shards: shardsOf(server),
      tables: { posts: { key: 'userId' }, countries: { replicated: true } },
    });
    const report = await migrateShards(db, bundle);
    expect(report.shards.map(({ state, applied }) => [state, applied.length])).toEqual(Array(3).fill(['done', 2]));
    expect(await db.$cluster.schemaVersion()).toMatchObject({ same: true });

    const ids = Array.from({ length: 30 }, (_, index) => `u${String(index).padStart(2, '0')}`);
    await db.insert(users).values(ids.map((id) => ({ id, name: `name of ${id}` })));
    await db.insert(posts).values(ids.map((userId, index) => ({ id: index + 1, userId, stars: index })));
    await db.insert(countries).values({ code: 'NL' });

    expect((await db.select().from(users).orderBy(users.id)).map(({ id }) => id)).toEqual(ids);
    expect(await db.select({ stars: sum(posts.stars) }).from(posts)).toEqual([{ stars: String((29 * 30) / 2) }]);
    const joined = await db
      .select({ name: users.name, stars: posts.stars })
      .from(posts)
      .innerJoin(users, eq(users.id, posts.userId))
      .where(eq(posts.userId, 'u07'));
    expect(joined).toEqual([{ name: 'name of u07', stars: 7 }]);
    await expect(db.insert(users).values({ id: 'u07', name: 'again' })).rejects.toThrow();

    const perShard = await Promise.all(
      (['db-0', 'db-1', 'db-2'] as const).map((shard) => db.$shard(shard).select().from(users)),
    );
    expect(perShard.every((rows) => rows.length > 0)).toBe(true);
    expect(perShard.flat()).toHaveLength(30);

    const [from] = (['db-0', 'db-1', 'db-2'] as const).filter((_, index) =>
      perShard[index]?.some(({ id }) => id === 'u07'),
    );
    const to = from === 'db-0' ? 'db-1' : 'db-0';
    await db.$cluster.reassign('u07', to);
    expect(await db.$shard(to).select().from(posts).where(eq(posts.userId, 'u07'))).toHaveLength(1);
    expect(await db.$cluster.verify()).toMatchObject({ ok: true });
  });
});

it('a server of real databases goes on where the one before it ended', async () => {
  const persist = mkdtempSync('/tmp/d1-api-');
  try {
    for (const round of [1, 2]) {
      const backend = new MiniflareBackend({ databases: 1, spare: 0, persist });
      server = await D1ApiServer.start({ backend });
      const [db] = Object.values(shardsOf(server));
      await db?.exec('create table if not exists t (id integer primary key)\ninsert into t default values');
      expect(await db?.prepare('select count(*) as n from t').first('n')).toBe(round);
      await server.close();
      await backend.dispose();
    }
  } finally {
    server = undefined;
    rmSync(persist, { recursive: true });
  }
});

it('the server runs by itself, of a thousand databases', async () => {
  const script = join(import.meta.dirname, 'support/d1-api-server.ts');
  const child = spawn(process.execPath, [script, '--simulated=1000'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const { url, accountId, apiToken } = JSON.parse(line.toString().split('\n')[0] as string);
    const client = new RemoteClient({ baseURL: url, accountId, apiToken });
    const info = (await databaseByName(client, 'db-999')) as DatabaseInfo;
    const db = httpD1(client, { databaseId: info.id, name: info.name });
    expect(await db.prepare('select 1 as one').first('one')).toBe(1);
  } finally {
    child.kill();
    await once(child, 'exit');
  }
});
