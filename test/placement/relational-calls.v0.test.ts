import { env } from 'cloudflare:workers';
import { eq, relations } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { type PlaceKey, shardedDrizzle } from '../../src';
import { Fleet, type Isolate, PLACES } from '../support/isolates';
import { hashOwner } from '../support/owner';
import { keysOf, migrated, posts, tables, users } from './fixture';

const usersRelations = relations(users, ({ many }) => ({ posts: many(posts) }));
const postsRelations = relations(posts, ({ one }) => ({
  user: one(users, { fields: [posts.userId], references: [users.id] }),
}));
const schema = { users, posts, usersRelations, postsRelations };

const owner = hashOwner(['s0', 's1', 's2']);
const id = keysOf('u', 100).find((key) => owner(key) === 's0') as string;

beforeEach(() => migrated());

/** As in `call-counts.test.ts`: round trips to databases, calls to the catalog, KV reads, KV writes. */
describe.each(PLACES)('calls of db.query by key, the catalog in the %s', (place) => {
  it.each([
    ['hash', 'hash', [1, 0, 1, 0]],
    ['a directory strategy', (() => 's1') as PlaceKey, [1, 0, 2, 0]],
  ] as const)('under %s', async (_name, strategy, cold) => {
    const fleet = new Fleet(place, env.KV);
    const open = (isolate: Isolate) => shardedDrizzle({ ...isolate.config, schema, tables, strategy });
    const first = open(fleet.isolate());
    await first.insert(users).values({ id, name: 'x' });
    await first.insert(posts).values([
      { id: 1, userId: id, body: 'a' },
      { id: 2, userId: id, body: 'b' },
    ]);
    const isolate = fleet.isolate();
    const cost = async (db: typeof first) => {
      isolate.reset();
      const found = await db.query.users.findFirst({ where: eq(users.id, id), with: { posts: true } });
      expect(found?.posts.map(({ body }) => body).sort()).toEqual(['a', 'b']);
      const { d1, catalog, kvReads, kvWrites } = isolate.calls;
      return [d1, catalog, kvReads, kvWrites];
    };
    const db = open(isolate);
    expect(await cost(db)).toEqual(cold);
    expect(await cost(db)).toEqual([1, 0, 0, 0]);
    expect(await cost(open(isolate))).toEqual([1, 0, 0, 0]);
  });
});
