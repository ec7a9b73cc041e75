import { sql } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import { InterceptedD1 } from '../support/intercepted-d1';
import { KEY, loaded, on, refusalOf, router, rowsOn, type ShardName, watched } from './cargo-fixture';

const options = { tables: { items: { key: 'k' } }, moveTimeout: 200 };
const ITEMS = [
  'create table items (id integer primary key, k text not null, body)',
  'create index items_k on items (k)',
];

/** Rows 1 to `count`, made of `i`. */
const fill = (table: string, count: number, row: string) =>
  `with recursive c(i) as (select 1 union all select i + 1 from c where i < ${count}) insert into ${table} select ${row} from c`;

/** How many rows a shard has, and a sum that tells whether they are the same ones, whatever their length. */
const sumOf = async (shard: ShardName, table = 'items') => {
  const [row] = await rowsOn(
    shard,
    `select count(*), total(id), total(length(body)), count(distinct typeof(body) || length(body) || substr(body, 1, 40) || substr(body, -40))
      from ${table}`,
  );
  return row;
};

describe('a move of much', () => {
  it.each([
    ['12,000 rows', fill('items', 12_000, `i, '${KEY}', 'row ' || i`), 12_000],
    ['rows of 100 kB', fill('items', 30, `i, '${KEY}', i || hex(zeroblob(50000)) || i`), 30],
    ['a text of 900 kB', `insert into items values (1, '${KEY}', hex(zeroblob(450000)))`, 1],
    ['a text of 1.9 MB', `insert into items values (1, '${KEY}', hex(zeroblob(950000)))`, 1],
    [
      'a text of 600,000 letters of 3 bytes',
      `insert into items values (1, '${KEY}', replace(hex(zeroblob(300000)), '0', '字'))`,
      1,
    ],
    ['a blob of 600 kB', `insert into items values (1, '${KEY}', randomblob(600000))`, 1],
    ['a blob of 900 kB', `insert into items values (1, '${KEY}', randomblob(900000))`, 1],
    [
      'a text of 900 kB with what stands for text that is no UTF-8',
      `insert into items values (1, '${KEY}', hex(zeroblob(450000)) || char(65533))`,
      1,
    ],
    [
      'a text of 1.5 MB with what stands for text that is no UTF-8',
      `insert into items values (1, '${KEY}', hex(zeroblob(750000)) || char(65533))`,
      1,
    ],
  ])('takes along %s', async (_what, insert, rows) => {
    const { db } = await loaded(ITEMS, options);
    await on('s0', insert);
    const before = await sumOf('s0');
    expect(await db.$cluster.reassign(KEY, 's1')).toMatchObject({ rows, moves: 1 });
    expect(await sumOf('s1')).toEqual(before);
    expect(await rowsOn('s0', 'select count(*) from items')).toEqual([[0]]);
  });

  it('reads long rows in pages that look at few more than they take along', async () => {
    const { fleet } = await loaded(ITEMS, options);
    await on('s0', fill('items', 400, `i, '${KEY}', i || hex(zeroblob(10000))`));
    const looked: number[] = [];
    const { config } = fleet.isolate();
    const source = new InterceptedD1(config.shards.s0 as D1Database, async ({ statements }, run) => {
      const answer = await run();
      for (const [i, { sql: text }] of statements.entries()) {
        if (text.includes('row_number()')) looked.push((answer as D1Result[])[i]?.meta.rows_read ?? 0);
      }
      return answer;
    });
    const mover = router({ config: { ...config, shards: { ...config.shards, s0: source } } }, options);
    expect(await mover.$cluster.reassign(KEY, 's1')).toMatchObject({ rows: 400 });
    // 19 of them fit into a page. SQLite reads each row several times to make one.
    const [first = 0, ...others] = looked;
    expect(others.length).toBeGreaterThan(15);
    expect(Math.max(...others)).toBeLessThan(first / 10);
  });

  it('takes along slots with 3,000 keys in several tables', async () => {
    const more = ['notes', 'tags'];
    const { db } = await loaded(
      [...ITEMS, ...more.map((table) => `create table ${table} (id integer primary key, k text, body)`)],
      { tables: { items: { key: 'k' }, notes: { key: 'k' }, tags: { key: 'k' } } },
    );
    const all = { lo: 0, hi: 16383 };
    await db.$cluster.moveSlots(all, 's0');
    await on(
      's0',
      fill('items', 3000, `i, 'key' || i, 'item ' || i`),
      fill('notes', 4000, `i, 'key' || (i % 3000 + 1), 'note ' || i`),
      fill('tags', 100, `i, 'tag' || i, x'00' || i`),
    );
    const sums = () => Promise.all(['items', ...more].map((table) => sumOf('s0', table)));
    const before = await sums();
    expect((await db.$cluster.moveSlots(all, 's1')).job).toMatchObject({ rows: 7100 });
    expect(
      await rowsOn(
        's0',
        'select (select count(*) from items) + (select count(*) from notes) + (select count(*) from tags)',
      ),
    ).toEqual([[0]]);
    expect((await db.$cluster.moveSlots(all, 's0')).job).toMatchObject({ rows: 7100 });
    expect(await sums()).toEqual(before);
  });

  it('gives up what would keep writers waiting for too long', async () => {
    const { db } = await loaded(ITEMS, options);
    await db.$cluster.moveSlots({ lo: 0, hi: 16383 }, 's0');
    await on('s0', fill('items', 12_000, `i, 'key' || (i % 5), 'row ' || i`));
    const before = await sumOf('s0');
    const error = await refusalOf(db.$cluster.moveSlots({ lo: 0, hi: 16383 }, 's1', { frozenMs: 1 }));
    expect(error).toMatchObject({
      code: 'MOVE_REFUSED',
      message: expect.stringContaining('frozen for more than 1 ms'),
    });
    expect(await sumOf('s0')).toEqual(before);
    expect(await rowsOn('s1', 'select id from items')).toEqual([]);
    await db.run(sql`update items set body = 'free' where k = 'key1'`);
  });

  it.each([
    // The local D1 takes 8 MiB, more than the 2 MB that Cloudflare documents.
    ['a blob of 4.5 MB', 'randomblob(4500000)'],
    ['a text of 2,000,000 control characters', `replace(hex(zeroblob(1000000)), '0', char(1))`],
  ])('refuses %s: as JSON it is longer than D1 takes', async (_what, body) => {
    const { db } = await loaded(ITEMS, options);
    await on('s0', `insert into items values (1, '${KEY}', ${body}), (2, '${KEY}', 'short')`);
    const before = await sumOf('s0');
    const error = await refusalOf(db.$cluster.reassign(KEY, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_REFUSED', tables: ['items'] });
    expect(error.message).toContain('A row of items is too long to be moved');
    expect(await sumOf('s0')).toEqual(before);
    expect(await rowsOn('s1', 'select id from items')).toEqual([]);
    await db.run(sql`delete from items where k = ${KEY} and id = 1`);
    expect(await db.$cluster.reassign(KEY, 's1')).toMatchObject({ rows: 1 });
  });

  it('refuses a row that can be read, but not be written on the target', async () => {
    const { fleet } = await loaded(ITEMS, options);
    await on('s0', `insert into items values (1, '${KEY}', 'is thought to be long')`);
    const mover = watched(
      fleet,
      async (_shard, { statements }) => {
        const isStaging = statements.some(
          ({ sql, params }) => sql.includes('into _shard_stage') && params.includes('items'),
        );
        if (isStaging) throw new Error('D1_ERROR: string or blob too big: SQLITE_TOOBIG');
      },
      options,
    );
    const error = await refusalOf(mover.$cluster.reassign(KEY, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_REFUSED', tables: ['items'] });
    expect(error.message).toContain('A row of items is too long to be moved');
  });
});
