import { and, eq, gt, inArray, sql } from 'drizzle-orm';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { merge, shardContents } from '../differential/contents';
import { items, orders, posts, postTags, rules, schema, settings, tags, users } from '../differential/schema';
import { SEED } from '../differential/settings';
import { clientOf, Pair, type Write } from './support';

/** Each does on the shards what it does on one D1: the same rows after, the same RETURNING, the same number of changes. */
interface Case {
  readonly write: Write;
  /** SQL promises no order of what it returns. */
  readonly rows?: 'any';
}

const TOTALS = 'select user_ref, sum(quantity) as n from orders where quantity < 1000 group by user_ref';

const cases: Record<string, Case> = {
  // INSERT ... SELECT of other keys
  'insert of another key, every type of value': {
    write: `insert into orders (id, user_ref, total, placed_at, status, quantity)
      select id + 5000, user_ref, total, placed_at, status, quantity from orders where id > 2000 order by id returning *`,
  },
  'insert of columns in another order, into other affinities': {
    write: `insert into users (avatar, score, nickname, name, age, active, id)
      select total, quantity, placed_at, total, total, 1, 'o-' || id from orders where total is not null order by id returning id, typeof(avatar), typeof(score), name, age`,
  },
  'insert of blobs and reals': {
    write: `insert into users (id, name, score, age, active, avatar) select id || '-copy', name, score, score, active, avatar from users order by id returning *`,
  },
  'insert by an expression of the key': {
    write:
      "insert into users (id, name, active) select 'x' || id, name, active from users where active = 1 order by name, id returning id",
  },
  'insert of the first few': {
    write: `insert into users (id, name, active) select 'top' || id, status, 0 from orders order by quantity desc, id limit 5 offset 1 returning *`,
  },
  'insert of groups': {
    write: `insert into settings (name, value) select 'sum ' || coalesce(user_ref, '?'), n from (${TOTALS})`,
  },
  'insert of groups under other keys': {
    write: `insert into users (id, name, age, active) select 'sum ' || coalesce(user_ref, '?'), 'n', n, 1 from (${TOTALS}) order by 1 returning id, age`,
  },
  'insert of a union': {
    write:
      "insert into users (id, name, active) select 'p' || id, title, 1 from posts where title is not null union select 'o' || id, status, 0 from orders",
  },
  'insert of a join over other columns': {
    write: `insert into items (order_id, line, sku) select o.id, 50 + row_number() over (partition by o.id order by u.id), u.name
      from orders o join users u on u.id = o.user_ref`,
  },
  'insert with a CTE in front': {
    write: `with big as (select * from orders where quantity > 1), n as (select count(*) as c from big)
      insert into items (order_id, line, price) select id, 60 + c, total from big, n`,
  },
  'insert with a recursive CTE': {
    write: `with recursive n(i) as (values (1) union all select i + 1 from n where i < 40)
      insert into orders (id, status, total) select 3000 + i, 'n' || i, i * 9007199254740993 / 7 from n order by i returning id, status`,
  },
  'insert with a CTE behind the columns': {
    write:
      "insert into users (id, name, active) with q as (select count(*) as n from posts) select 'n' || n, n, 1 from q union all values ('v', 'v', 0)",
  },
  'insert of rows with a subquery': {
    write: {
      sql: "insert into users (id, name, age, active) values (?, (select max(name) from users), ?, 1), ('two', 'b', (select count(*) from orders), 0) returning *",
      params: ['one', 5],
    },
  },
  'insert with ?1 twice': {
    write: {
      sql: "insert into users (id, name, active) select 'q' || id, ?2, ?1 from orders where status <> ?2 and quantity > ?1",
      params: [1, 'it'],
    },
  },
  'insert on conflict do nothing, from other keys': {
    write: `insert into users (id, name, active) select user_ref, 'from order', 1 from orders where user_ref is not null order by id
      on conflict do nothing returning id, name`,
  },
  'insert on conflict do update, twice the same key': {
    write: `insert into users (id, name, age, active) select user_ref, status, 1, 1 from orders where user_ref is not null order by id
      on conflict (id) do update set age = coalesce(users.age, 0) + excluded.age, nickname = excluded.name where users.id <> 'u1' returning id, age`,
  },
  'insert or replace, from other keys': {
    write: 'insert or replace into orders (id, status) select length(id) * 100, min(id) from users group by length(id)',
  },
  'replace into': {
    write:
      'replace into orders (id, status, total) select age + 7000, max(id), max(score) from users where age is not null group by age',
  },
  'insert with an alias': {
    write: `insert into orders as o (id, status) select slot + 1, 'x' from posts group by slot on conflict (id) do update set quantity = o.quantity + 1`,
  },
  'insert of nothing': {
    write:
      "insert into users (id, name, active) select status, status, 1 from orders where status = 'nowhere' returning id",
  },
  'insert without a column list': {
    write: "insert into settings select 'key ' || id, status, quantity from orders where quantity < 100",
  },
  'insert without a column list, sharded': { write: 'insert into items select id, 70, status, total from orders' },
  'insert of names that objects cannot hold': {
    write:
      'insert into users (id, name, active) select \'z\' || id, status, 1 from orders order by id returning id, name as id, active as "1"',
  },
  'insert into a replicated table from others': {
    write:
      'insert into tags (id, label, weight) select id, name, age from users where length(id) = 2 order by id on conflict do nothing returning *',
  },
  'insert into a replicated table, a subquery among its values': {
    write:
      "insert into tags (id, label, weight) values ('count', 'c', (select count(*) from orders)), ('avg', 'a', (select avg(score) from users))",
  },
  'insert with a key that is an expression': {
    write: "insert into users (id, name, active) values (lower('NEW'), 'n', 1), (hex('b'), 'm', 0) returning id, name",
  },
  'insert of Drizzle, select': {
    write: (db) =>
      db
        .insert(users)
        .select(
          db
            .select({
              id: sql`'d' || ${orders.id}`.as('id'),
              name: orders.status,
              nickname: sql`null`.as('nickname'),
              age: orders.quantity,
              score: orders.total,
              email: orders.userRef,
              active: sql`1`.as('active'),
              avatar: sql`x'00'`.as('avatar'),
            })
            .from(orders)
            .where(gt(orders.quantity, 1))
            .orderBy(orders.id) as never,
        )
        .returning(),
  },
  // UPDATE
  'update by a sum of other keys': {
    write: 'update users set age = (select sum(views) from posts) where active = 1 returning id, age',
    rows: 'any',
  },
  'update by a subquery on another column': {
    write:
      'update users set age = (select count(*) from orders where orders.user_ref = users.id), nickname = (select max(status) from orders where user_ref = id)',
  },
  'update of several columns, among them one from elsewhere': {
    write:
      "update orders set quantity = quantity + 1, (status, total) = ('s' || id, (select score from users where users.id = user_ref)) where user_ref is not null",
  },
  'update by the largest of all': {
    write:
      'update orders as o set total = (select max(total) from orders) where o.quantity = (select min(quantity) from orders)',
  },
  'update keeps every type of value': {
    write:
      'update orders set total = o.total from orders o where o.id = 2000 + orders.id and orders.id between 1 and 5',
  },
  'update with blobs from elsewhere': {
    write:
      "update users set avatar = (select avatar from users where id = 'r1'), score = (select u.score from users u where u.id = 'r2')",
  },
  'update from another key': {
    write:
      'update orders set status = u.name, total = u.score from users u where u.id = orders.user_ref returning id, status, total',
    rows: 'any',
  },
  'update by what other rows have and the update leaves': {
    write: 'update orders set status = (select count(*) from orders o where o.quantity = orders.quantity)',
  },
  'update by rows of others, and by the least of all': {
    write:
      'update orders set quantity = (select count(*) from users where users.age > orders.quantity), status = coalesce((select min(o.status) from orders o), status)',
  },
  'update by a sum of itself': {
    write: 'update orders set quantity = (select sum(quantity) from orders where quantity < 100) + quantity % 7',
  },
  'update by the rows before, read in FROM': {
    write:
      'update users set age = s.n from (select u.id, (select count(x.age) from users x where x.id < u.id) as n from users u) s where s.id = users.id',
  },
  'update from a subquery': { write: `update users set age = t.n from (${TOTALS}) as t where t.user_ref = users.id` },
  'update from several': {
    write:
      'update items set sku = u.name, price = o.total from orders o join users u on u.id = o.user_ref where o.id = items.order_id and o.quantity > 0',
  },
  'update from two tables with a comma': {
    write:
      "update users set nickname = s.value from settings s, tags t where s.name = (select min(name) from settings) and t.id = 't2' and length(users.name) > 1",
  },
  'update with a CTE in front': {
    write: `with t as (${TOTALS}) update users set age = (select n from t where t.user_ref = users.id) where id in (select user_ref from t)`,
  },
  'update from a CTE': {
    write: `with t as (${TOTALS}) update users as u set age = t.n, nickname = 'cte' from t where t.user_ref = u.id returning id, age`,
    rows: 'any',
  },
  'update of the first few from elsewhere': {
    write: 'update users set age = (select count(*) from posts) where active = 1 order by name, id limit 3',
  },
  'update of a composite key from elsewhere': {
    write:
      'update items set sku = (select max(name) from users), price = line * (select count(*) from users) where line = 2',
  },
  'update or ignore': {
    write: 'update or ignore items set line = (select max(slot) + order_id % 2 from posts) where line = 2',
  },
  'update of a replicated table from others': {
    write:
      'update tags set weight = (select count(*) from post_tags where tag_id = tags.id), label = label || (select max(id) from orders)',
  },
  'update of a replicated table by a join': {
    write: 'update tags set weight = o.quantity from orders o where o.id = 1 returning id, weight',
    rows: 'any',
  },
  'update of a table on one shard from others': {
    write: 'update settings set version = (select count(*) from users), value = (select max(status) from orders)',
  },
  'update of Drizzle, from': {
    write: (db) =>
      db
        .update(orders)
        .set({ status: sql`${users.name}` })
        .from(users)
        .where(and(eq(users.id, orders.userRef), eq(users.active, true))),
  },
  'update of Drizzle, a subquery': {
    write: (db) => {
      const count = db.select({ n: sql`count(*)` }).from(orders).where(eq(orders.userRef, users.id));
      return db
        .update(users)
        .set({ age: sql`(${count})` })
        .where(inArray(users.id, db.select({ id: posts.userId }).from(posts)));
    },
  },
  // DELETE
  'delete by other keys': {
    write: 'delete from orders where user_ref in (select id from users where active = 1) returning id',
    rows: 'any',
  },
  'delete with ORDER BY and LIMIT': { write: 'delete from posts order by views desc, id limit 4 offset 1' },
  'delete with a CTE': {
    write: `with t as (${TOTALS}) delete from users where id in (select user_ref from t where n > 1)`,
  },
  'delete of a replicated table by others': {
    write: 'delete from tags where id not in (select tag_id from post_tags)',
  },
  'delete of a table on one shard by others': {
    write: 'delete from settings where length(name) in (select length(id) from users) returning name',
    rows: 'any',
  },
  'delete of Drizzle, order and limit': {
    write: (db) =>
      db.delete(items).orderBy(items.price, items.orderId, items.line).limit(3).returning({ line: items.line }),
    rows: 'any',
  },
  // With nothing elsewhere
  'upsert of several keys, in the order given': {
    write: (db) =>
      db
        .insert(users)
        .values(['u1', 'n1', 'u2', 'n2', 'n0'].map((id) => ({ id, name: id, active: true })))
        .onConflictDoUpdate({ target: users.id, set: { name: sql`excluded.name || '!'` } })
        .returning(),
  },
  'update of a replicated table': {
    write: (db) =>
      db
        .update(tags)
        .set({ label: sql`${tags.label} || 'x'` })
        .returning(),
    rows: 'any',
  },
  'insert of many rows': {
    write: (db) =>
      db
        .insert(postTags)
        .values([1, 2, 3].map((i) => ({ userId: 'u1', postId: `new ${i}`, tagId: 't2' })))
        .onConflictDoNothing()
        .returning(),
  },
  'a table on one shard': { write: (db) => db.insert(settings).values({ name: 'n', value: 'v' }).returning() },
  'update with a CTE that is called like the table': {
    write: 'with users as (select max(total) as m from orders) update users set score = (select m from users)',
  },
  'delete with a CTE that is called like the table': {
    write:
      "with orders as (select 'u1' as id) delete from orders where id > 2000 and user_ref in (select id from orders) and status <> (select max(name) from users)",
  },
};

const refused: Record<string, { readonly write: Write; readonly code?: string; readonly remedy: RegExp }> = {
  'on conflict that reads other keys': {
    write:
      "insert into users (id, name, active) values ('u1', 'a', 1) on conflict (id) do update set age = (select count(*) from posts)",
    remedy: /Leave the subquery out of ON CONFLICT/,
  },
  'on conflict that reads other keys, of a select': {
    write:
      "insert into users (id, name, active) select 'x' || id, status, 1 from orders where true on conflict (id) do update set age = (select count(*) from posts)",
    remedy: /Leave the subquery out/,
  },
  'returning that reads other keys': {
    write: 'update users set age = 9 returning (select count(*) from posts)',
    remedy: /out of RETURNING/,
  },
  'on conflict of a column that is not the key': {
    write: "insert into posts (id, user_id, slot) values ('p', 'u1', 77) on conflict (id) do nothing",
    remedy: /user_id/,
  },
  'several columns from one subquery': {
    write: 'update users set (age, nickname) = (select count(*), max(status) from orders where user_ref = users.id)',
    remedy: /a subquery of its own/,
  },
  'from that gives one row several values': {
    write: 'update users set age = o.quantity from orders o where o.quantity <> users.age',
    remedy: /max\(\)/,
  },
  'a subquery that sees what the update has changed': {
    write: 'update orders set quantity = 1 + (select max(o.quantity) from orders o where o.id < orders.id)',
    remedy: /Read the values in FROM/,
  },
  'a subquery that sees what the update has changed, further inside': {
    write:
      'update users as u set age = (select n from (select (select sum(x.age) from users x where x.id < u.id) as n))',
    remedy: /Read the values in FROM/,
  },
  'a subquery that is first worked out for a later row': {
    write:
      'update orders set quantity = case when id > 3 then (select max(quantity) from orders) else quantity + 100 end',
    remedy: /Read the values in FROM/,
  },
  'a null key': {
    write:
      'insert into users (id, name, active) select user_ref, status, 1 from orders where id in (2005, 1) union all select null, 1, 1',
    code: 'SHARD_KEY',
    remedy: /key/,
  },
  'a blob for a key': {
    write:
      "insert into users (id, name, active) select cast(id as blob) || '', x'00', 1 from orders union all select x'0102', 'x', 1",
    code: 'SHARD_KEY',
    remedy: /String/,
  },
  'a key that changes': {
    write: 'update users set id = (select max(id) from posts)',
    code: 'SHARD_KEY_CHANGE',
    remedy: /Insert the row/,
  },
  'returning that differs on each copy': {
    write: 'update tags set weight = (select count(*) from users) returning random()',
    remedy: /Compute/,
  },
};

describe.each([2, 5])('writes on %i shards that read what is elsewhere', (count) => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await Pair.open(count, SEED);
  });
  beforeEach(() => pair.restore());

  it.each(Object.keys(cases))('%s', async (name) => {
    const { write, rows } = cases[name] as Case;
    const changes = await pair.same(write, rows);
    if (!/nothing/.test(name)) expect(changes).toBeGreaterThan(0);
  });

  it.each(Object.keys(refused))('refused: %s', async (name) => {
    const { write, remedy, code = 'UNSUPPORTED_STATEMENT' } = refused[name] as (typeof refused)[string];
    const error = await pair.refusal(write);
    expect(error.code, error.message).toBe(code);
    expect(error.message).toMatch(remedy);
  });

  it('what differs each time is worked out once for all copies', async () => {
    const writes = [
      "insert into tags (id, label, weight) values ('once', hex(randomblob(8)), random()), ('twice', current_timestamp, 1)",
      'insert into tags (id, label) select hex(randomblob(8)), name from users limit 3',
      "update tags set label = hex(randomblob(8)), weight = abs(random() % 1000) where id <> 'free'",
      "delete from tags where weight > abs(random() % 1000) and id in ('once', 'twice', 'free')",
    ];
    for (const write of writes) {
      const { meta } = await pair.run(write);
      expect(meta.changes, write).toBeGreaterThanOrEqual(write.startsWith('delete') ? 0 : 2);
      // It throws when a copy is not like the others.
      merge(await shardContents(pair.sides.shards));
    }
  });

  it('rows that leave their id out get numbers that no other row has', async () => {
    const all =
      'insert into orders (user_ref, status) select id, name from users order by id returning id, user_ref, status';
    const some =
      'insert into orders (id, status) select case when length(id) > 1 then 6000 + row_number() over () end, name from users';
    const { results, meta } = await pair.run(all);
    const users = await pair.run('select id as user_ref, name as status from users order by id');
    expect((results as Record<string, unknown>[]).map(({ user_ref, status }) => ({ user_ref, status }))).toEqual(
      users.results,
    );
    expect(meta.changes).toBe(users.results.length);
    await pair.run(some);
    const ids = await pair.run('select count(*) as n, count(distinct id) as d, count(id) as i from orders');
    const before = Object.values(pair.before[0]?.[1].orders ?? []).length;
    const expected = before + 2 * users.results.length;
    expect(ids.results).toEqual([{ n: expected, d: expected, i: expected }]);
  });

  it('a write that has to look first is no part of a batch', async () => {
    const client = clientOf(pair.sides.sharded);
    const statements = [
      "update users set age = 1 where id = 'u1'",
      "insert into settings (name, value) select 'n', max(id) from users",
    ];
    await expect(client.batch(statements.map((sql) => client.prepare(sql)))).rejects.toThrow('Run it by itself');
    await expect(pair.same('delete from settings where 0')).resolves.toBe(0);
  });

  it('more rows than the limit are not read', async () => {
    const { shards } = pair.sides;
    const few = shardedDrizzle({ schema, shards, tables: rules, limits: { gatherRows: 5 } });
    await expect(
      few.run(sql.raw("insert into settings (name, value) select 'n' || id, name from users")),
    ).rejects.toMatchObject({
      cause: { code: 'GATHER_LIMIT' },
    });
    await expect(pair.same('delete from settings where 0')).resolves.toBe(0);
  });

  it('a failed constraint leaves nothing half-written', async () => {
    await expect(
      pair.run("insert into users (id, name, active) select 'c' || id, nullif(status, 'real'), 1 from orders"),
    ).rejects.toThrow('NOT NULL');
    await expect(
      pair.run('update orders set status = nullif((select max(name) from users), status) where id < 3'),
    ).resolves.toBeDefined();
    await pair.restore();
    await expect(pair.run('update items set line = (select min(slot) from posts)')).rejects.toThrow('UNIQUE');
    await expect(pair.same('delete from settings where 0')).resolves.toBe(0);
  });
});
