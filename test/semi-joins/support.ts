import { type ShardedDatabase, shardedDrizzle } from '../../src';
import { cities } from '../support/cities';
import { type Counts, countedShards } from '../support/counted-fetches';
import { resetDatabases } from '../support/reset';
import { run } from '../support/seed';
import { plain, shards } from '../support/shards';

/** People, posts and comments, each by a key of its own: hardly a join stays on one shard. */
export const TABLES = [
  'create table people (id text primary key, name text not null collate nocase, country text, boss text, born integer)',
  'create table posts (id integer primary key, author text not null, title text not null, stars real, mixed)',
  'create table comments (id text primary key, post integer not null, author text, body text)',
  'create table likes (person text not null, post integer not null, primary key (person, post))',
  'create table countries (code text primary key, continent text)',
  'create index posts_author on posts(author)',
  'create index comments_post on comments(post)',
];

export const RULES = {
  likes: { key: 'person' },
  countries: { replicated: true },
} as const;

/** Values of every type, so that what is sent as JSON has to stay what it was. */
const ODD = [1, 1.5, 'text', null, '1', new Uint8Array([0, 255]), 'é"\\', 0];

export const PEOPLE = 300;

export interface World {
  readonly db: ShardedDatabase<Record<string, never>>;
  readonly counts: Counts;
}

/** The id of the i-th person. */
export const personId = (i: number): string => cities(PEOPLE)[i % PEOPLE]?.id ?? '';

/** The same rows in one D1 and over some shards, of which a few keys have been moved. */
export async function openWorld(count: number): Promise<World> {
  await resetDatabases();
  const { databases, counts } = countedShards(count);
  for (const database of [plain, ...Object.values(shards(count))]) await run(database, TABLES);
  const db = shardedDrizzle({ shards: databases, tables: RULES });
  const some = cities(PEOPLE);
  const id = (i: number) => some[i % PEOPLE]?.id ?? '';
  const rows: Record<string, unknown[][]> = {
    people: some.map(({ name, country }, i) => [id(i), name, i % 9 ? country : null, i % 4 ? id(i * 7) : null, i]),
    posts: Array.from({ length: 900 }, (_, i) => [i + 1, id(i * 11), `title ${i % 40}`, (i % 10) / 4, ODD[i % 8]]),
    comments: Array.from({ length: 1800 }, (_, i) => [
      `c${i}`,
      ((i * 13) % 950) + 1,
      i % 10 ? id(i * 3) : null,
      `b${i % 7}`,
    ]),
    likes: Array.from({ length: 900 }, (_, i) => [id(i), ((i * 17) % 900) + 1]),
    countries: [...new Set(some.map(({ country }) => country))].map((code, i) => [code, ['EU', 'AS', 'AF'][i % 3]]),
  };
  for (const target of [plain, db.$client]) {
    for (const [table, list] of Object.entries(rows)) {
      const size = Math.floor(100 / (list[0]?.length ?? 1));
      for (let at = 0; at < list.length; at += size) {
        const part = list.slice(at, at + size);
        const values = part.map((row) => `(${row.map(() => '?').join(', ')})`).join(', ');
        await target
          .prepare(`insert into ${table} values ${values}`)
          .bind(...part.flat())
          .run();
      }
    }
  }
  if (count > 1) for (const i of [0, 7, 11]) await db.$cluster.reassign(id(i), 's1');
  counts.calls = [];
  return { db, counts };
}
