import { beforeAll, describe, expect, it } from 'vitest';
import { type QueryEvent, shardedD1 } from '../../src';
import { plain } from '../support/shards';
import { expectSame, failureOf, makeWorld, threeShards, type World } from './support';

let world: World;

/** Joining on a condition that is no equality of keys makes rows of several shards meet, so they are gathered. */
const gathered = 'from vals a join vals c on a.id >= c.id';

beforeAll(async () => {
  world = await makeWorld(
    [
      `create table vals (id text primary key, i integer, r real, t text, n numeric, b, z text collate rtrim)`,
      'create table exact (id text primary key, a any, n integer) strict',
      'create table wide (id text primary key, ' +
        `${Array.from({ length: 40 }, (_, i) => `c${i} ${['integer', 'text', 'blob', 'real'][i % 4]}`).join(', ')})`,
    ],
    [
      "insert into vals values ('a', 'old', 1e300, 'a' || char(0) || 'b', 9223372036854775807, x'00ff', 'z')",
      "insert into vals values ('b', 1.5, -0.0, '', '1', 'text', 'z  ')",
      "insert into vals values ('c', 1, 9e999, '12 ', 1.0, 12, 'Z ')",
      "insert into vals values ('d', null, -9e999, char(128512), 0.1, x'', ' z')",
      "insert into vals values ('e', 9007199254740993, 0.1 + 0.2, char(65535), -9223372036854775808, -0.0, null)",
      "insert into vals values ('f', 9007199254740992, 1e-320, x'616263', 1e20, '[1]', '')",
      `insert into vals values ('g', 9007199254740992.0, 123456789.123456789, '{"a":1}', '1e2', 9007199254740993, '   ')`,
      `insert into vals values ('h', -9007199254740993, 5e-324, '\\u0041"', ' 7 ', 1.7976931348623157e308, 'z')`,
      "insert into vals values ('i', x'31', 2, char(55295, 57344, 65536), 'one', x'05', 'zz')",
      "insert into exact values ('a', '1', 1), ('b', 1, 2), ('c', x'01', 3), ('d', 1.0, 4), ('e', '1', 5)",
      `insert into wide (id, c0, c1, c2, c3, c38, c39) values ('a', 1, 'x', x'01', 0.5, x'6869', 7),
        ('b', 'text', 'y', 'not a blob', 1, null, 'real?'), ('c', 9007199254740993, null, 3, 9e999, x'', -0.0)`,
    ],
  );
});

describe('values come back as they were', () => {
  it.each(['i', 'r', 't', 'n', 'b', 'z'])('in column %s, to the bit and with its type', (column) => {
    const shown = `typeof(a.${column}), quote(a.${column}), hex(a.${column}), length(a.${column})`;
    return expectSame(world, `select a.id, ${shown} ${gathered} where c.id = 'a' or c.id = 'b'`).then(() => undefined);
  });

  it.each([
    `select a.id, a.i, a.r, a.t, a.n, a.b, a.z ${gathered} where a.n is not 5`,
    `select a.* ${gathered} order by a.id, c.id`,
    `select a.b, a.b ${gathered} where a.id in ('a', 'd', 'i')`,
    'select id, r from vals union all select id, b from vals',
    "select printf('%!.20g', r), id from vals union select 1, 1",
    'select json_array(r, n), id from vals where r < 9e99 union select 1, 1',
    'select hex(group_concat(t)) from (select t from vals where b is not null order by id)',
    'select id, sum(length(b)) over (order by id) from vals order by id',
    'select w.*, x.id from wide w join wide x on w.id > x.id',
    'select max(c39), min(c2), sum(c3), max(c38) from wide',
  ])('however they are combined: %s', (sql) => expectSame(world, sql).then(() => undefined));
});

describe('comparisons keep the affinity and collation of the column', () => {
  it.each([
    "select count(*) from vals where n = '1'",
    "select count(*) from vals where n = '100' or i = '1'",
    `select a.id ${gathered} where a.n = '1' or a.n = '100'`,
    `select a.id, a.i = '1', a.t = 12, a.b = '12', a.n < 'a', a.r = '2' ${gathered} where c.id = 'a'`,
    `select a.id, c.id ${gathered} where a.i = c.n`,
    `select a.id, c.id ${gathered} where a.b = c.i or a.t = c.b`,
    `select a.id, c.id ${gathered} where a.z = c.z`,
    'select z, count(*) from vals group by z order by z',
    'select distinct z from vals order by 1',
    "select i = '1', count(*) from vals group by i = '1'",
    'select count(*) from (select i from vals union select n from vals)',
    "select id from vals where i > 'm' or i in ('old', '1', 9007199254740993) union select 'x'",
    'select max(i), min(i), max(r), min(r), max(t), min(t), max(b), min(b), max(n), min(n) from vals',
    'select id, sum(i + 0.0) from vals group by id having sum(i) is not null order by id',
    "select quote(sum(i)), quote(max(i + 1000)) from vals where id in ('e', 'f')",
    "select id from exact where a = (select a from exact where id = 'a') order by id",
    'select a.id, c.id from exact a join exact c on a.a = c.a and a.id < c.id',
    'select min(id), count(*) from exact group by a order by 1',
    "select typeof(sum(n)), typeof(avg(i)), typeof(total(i)) from vals where id in ('b', 'c')",
  ])('%s', (sql) => expectSame(world, sql).then(() => undefined));
});

describe('an order merge keeps the order of SQLite', () => {
  it.each(['i', 'r', 't', 'n', 'b', 'z', '-r', 'i + 0', 'abs(i)', 'lower(t)', 'coalesce(i, r)', 'a.r', 'a.b'])(
    'of %s',
    async (term) => {
      await expectSame(world, `select id, ${term} as v from vals a order by ${term}, id`);
      await expectSame(world, `select id, ${term} as v from vals a order by ${term} desc, id desc`);
      await expectSame(world, `select id from vals a order by ${term} desc nulls last, id limit 4`);
      await expectSame(world, `select id from vals a order by ${term} nulls last, id limit 3 offset 3`);
    },
  );
});

describe('lists of many values', () => {
  const marks = (count: number) => Array.from({ length: count }, () => '?').join(', ');
  const numbers = Array.from({ length: 60 }, (_, i) => i);

  it.each<[string, unknown[]]>([
    ['numbers against text', numbers],
    ['text', numbers.map((n) => (n === 7 ? '12 ' : `t${n}`))],
    ['nulls and booleans', numbers.map((n) => (n % 3 === 0 ? null : n % 3 === 1))],
    ['blobs', numbers.map((n) => new Uint8Array([n]))],
    ['fractions and extremes', numbers.map((n) => (n === 3 ? Infinity : n === 4 ? -0 : n === 5 ? 1e300 : n + 0.5))],
  ])('of %s', async (_name, list) => {
    for (const column of ['t', 'i', 'n', 'b', 'r']) {
      await expectSame(
        world,
        `select count(*), sum(id in ('a', 'c')) from vals where ${column} in (${marks(60)})`,
        ...list,
      );
      await expectSame(world, `select id from vals where ${column} not in (${marks(60)}) order by id`, ...list);
    }
  });

  it.each([
    (list: string) => `select count(*) from vals where id in (${list})`,
    (list: string) => `select id from vals where id in (${list}) order by id`,
    (list: string) => `select a.id from vals a join vals c on a.id > c.id where a.id in (${list}) order by a.id, c.id`,
    (list: string) => `select id from vals where i > -1e18 and id not in (${list}) order by id`,
  ])('of more than 100 parameters: %s', async (write) => {
    const list = Array.from({ length: 150 }, (_, i) => String.fromCharCode(97 + (i % 5)) + (i < 5 ? '' : i));
    const expected = await plain.prepare(write(list.map((text) => `'${text}'`).join(', '))).raw();
    for (const database of [world.one, world.three])
      expect(
        await database
          .prepare(write(marks(150)))
          .bind(...list)
          .raw(),
      ).toEqual(expected);
  });

  it.each([undefined, 5n, { a: 1 }])('with a value that cannot be bound are refused: %s', async (value) => {
    const statement = world.three.prepare(`select count(distinct t) from vals where id in (${marks(120)})`);
    const error = await failureOf(statement.bind(...Array.from({ length: 119 }, String), value).all());
    expect(error).toMatchObject({ code: 'UNSUPPORTED_STATEMENT' });
    expect(error.message).toContain(`type ${typeof value} cannot be bound`);
  });

  it('as one JSON parameter', async () => {
    const list = JSON.stringify(['a', 'c', 'none', 'i', ...Array.from({ length: 3000 }, (_, i) => `k${i}`)]);
    const found = await expectSame(
      world,
      'select id from vals where id in (select value from json_each(?)) order by id',
      list,
    );
    expect(found).toEqual([['id'], ['a'], ['c'], ['i']]);
    await expectSame(
      world,
      'select count(*) from vals where id in (select value from json_each(?))',
      '{"x":"a","y":"c"}',
    );
    await expectSame(world, 'select count(*) from vals where id in (select value from json_each(?))', '"a"');
  });
});

describe('limits', () => {
  it('name the table and what to do, and nothing is answered', async () => {
    const rows = shardedD1({ shards: threeShards, limits: { gatherRows: 8 } });
    const error = await failureOf(rows.prepare(`select a.id ${gathered}`).all());
    expect(error).toMatchObject({ code: 'GATHER_LIMIT', tables: ['vals'] });
    expect(error.message).toContain('gatherRows');
    const bytes = shardedD1({ shards: threeShards, limits: { gatherBytes: 20 } });
    expect(await failureOf(bytes.prepare(`select a.id ${gathered}`).all())).toMatchObject({
      code: 'GATHER_LIMIT',
    });
    const enough = shardedD1({ shards: threeShards, limits: { gatherRows: 9 } });
    expect(await enough.prepare(`select count(*) ${gathered}`).raw()).toEqual([[45]]);
  });

  it('rows that pass the size of one parameter travel in several', async () => {
    const big = 'x'.repeat(300_000);
    for (const database of [plain, world.one, world.three]) {
      for (const id of ['k', 'l', 'm', 'n', 'o', 'p', 'q'])
        await database.prepare('insert into vals (id, t) values (?, ?)').bind(id, big).run();
    }
    await expectSame(world, "select count(*), sum(length(t)), min(id), max(id) from vals where id > 'j'");
    await expectSame(
      world,
      "select a.id, c.id, length(a.t || c.t) from vals a join vals c on a.id > c.id where c.id > 'j' order by 1, 2",
    );
  });
});

it('an observer sees that a statement was gathered', async () => {
  const events: QueryEvent[] = [];
  const d1 = shardedD1({ shards: threeShards, onQuery: (event) => events.push(event) });
  await d1.prepare(`select count(*) ${gathered}`).all();
  expect(events).toMatchObject([{ kind: 'gather', shards: ['s0', 's1', 's2'] }]);
});
