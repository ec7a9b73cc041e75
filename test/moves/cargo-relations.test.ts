import { describe, expect, it } from 'vitest';
import type { ShardedConfig } from '../../src';
import { everything, KEY, loaded, on, refusalOf, type ShardName, valuesOn, watched } from './cargo-fixture';

const SHARDS = ['s0', 's1', 's2'] as const;

interface Family {
  readonly ddl: readonly string[];
  readonly tables: NonNullable<ShardedConfig['tables']>;
  /** On each shard. */
  readonly everywhere?: readonly string[];
  readonly insert: (key: string, n: number) => readonly string[];
}

const parentAndChild = (onDelete: string): Family => ({
  // By name, the child comes first.
  ddl: [
    'create table people (id text primary key, name text)',
    `create table addresses (n integer primary key, person text references people (id) ${onDelete}, street text)`,
  ],
  tables: { addresses: { key: 'person' } },
  insert: (key, n) => [
    `insert into people values ('${key}', 'P')`,
    `insert into addresses values (${n}, '${key}', 'one'), (${n + 1}, '${key}', 'two')`,
  ],
});

const FAMILIES: Readonly<Record<string, Family>> = {
  'children and their parents': parentAndChild(''),
  'ON DELETE CASCADE': parentAndChild('on delete cascade on update cascade'),
  'ON DELETE SET NULL': parentAndChild('on delete set null'),
  'ON DELETE SET DEFAULT': parentAndChild('on delete set default'),
  'ON DELETE RESTRICT': parentAndChild('on delete restrict'),
  'three generations, in another order than their names': {
    ddl: [
      'create table c_parents (id text primary key)',
      'create table a_children (k text references c_parents on delete cascade, n integer, primary key (k, n))',
      'create table b_grandchildren (k text, n integer, m integer, primary key (k, n, m), foreign key (k, n) references a_children on delete cascade)',
    ],
    tables: { a_children: { key: 'k' }, b_grandchildren: { key: 'k' } },
    insert: (key) => [
      `insert into c_parents values ('${key}')`,
      `insert into a_children values ('${key}', 1), ('${key}', 2)`,
      `insert into b_grandchildren values ('${key}', 1, 1), ('${key}', 1, 2), ('${key}', 2, 1)`,
    ],
  },
  'a table that refers to itself': {
    ddl: [
      'create table nodes (k text, id integer, above integer, primary key (k, id), foreign key (k, above) references nodes (k, id) on delete cascade)',
    ],
    tables: { nodes: { key: 'k' } },
    // The children first, by row id and by primary key.
    insert: (key) => [
      'pragma defer_foreign_keys = on',
      `insert into nodes values ('${key}', 1, 2), ('${key}', 2, 3), ('${key}', 3, null), ('${key}', 4, 4)`,
    ],
  },
  'a table that refers to itself ON DELETE RESTRICT': {
    ddl: [
      `create table staff (id integer primary key, company text not null, boss integer,
        unique (company, id), foreign key (company, boss) references staff (company, id) on delete restrict)`,
      `create table rooms (company text, n integer, "inside" integer, primary key (company, n),
        foreign key (company, "inside") references rooms on delete restrict) without rowid`,
    ],
    tables: { staff: { key: 'company' }, rooms: { key: 'company' } },
    // Those above before those below, after them, and one that is above itself.
    insert: (key, n) => [
      'pragma defer_foreign_keys = on',
      `insert into staff values (${n}, '${key}', null), (${n + 1}, '${key}', ${n}), (${n + 2}, '${key}', ${n + 1}),
        (${n + 3}, '${key}', ${n + 4}), (${n + 4}, '${key}', ${n + 4}), (${n + 5}, '${key}', ${n})`,
      `insert into rooms values ('${key}', 1, null), ('${key}', 2, 1), ('${key}', 3, 2), ('${key}', 4, 2)`,
    ],
  },
  'a circle of two tables': {
    ddl: [
      'create table authors (k text primary key, best integer, foreign key (k, best) references books (k, id) deferrable initially deferred)',
      'create table books (k text references authors (k) deferrable initially deferred, id integer, primary key (k, id))',
    ],
    tables: { books: { key: 'k' } },
    insert: (key) => [
      `insert into authors values ('${key}', 2)`,
      `insert into books values ('${key}', 1), ('${key}', 2)`,
    ],
  },
  'a circle of two tables that is checked at once': {
    ddl: [
      'create table authors (k text primary key, best integer, foreign key (k, best) references books (k, id) on delete cascade)',
      'create table books (k text references authors (k) on delete cascade, id integer, primary key (k, id))',
    ],
    tables: { books: { key: 'k' } },
    insert: (key) => [
      'pragma defer_foreign_keys = on',
      `insert into authors values ('${key}', 2)`,
      `insert into books values ('${key}', 1), ('${key}', 2)`,
    ],
  },
  'reference tables': {
    ddl: [
      'create table countries (code text primary key)',
      'create table visits (n integer primary key, k text, country text references countries (code) on delete cascade)',
    ],
    tables: { countries: { replicated: true }, visits: { key: 'k' } },
    everywhere: [`insert into countries values ('de'), ('nl')`],
    insert: (key, n) => [`insert into visits values (${n}, '${key}', 'de'), (${n + 1}, '${key}', null)`],
  },
};

type Everything = Awaited<ReturnType<typeof everything>>;

/** All rows as they must be once those that only `start` has, on s0, are on another shard. */
function placedOn(to: ShardName, without: Everything, start: Everything): Everything {
  const lists = Object.entries(without).map(([list, rows]) => {
    const same = list.replace(/^s./, 's0');
    const moved = (start[same] ?? []).filter((row) => !without[same]?.includes(row));
    return [list, list.startsWith(to) ? [...rows, ...moved].sort() : rows];
  });
  return Object.fromEntries(lists);
}

describe('rows that refer to each other move together', () => {
  it.each(Object.entries(FAMILIES))('%s', async (_what, { ddl, tables, everywhere = [], insert }) => {
    const { db } = await loaded(ddl, { tables });
    for (const name of SHARDS) await on(name, ...everywhere);
    for (const [i, name] of SHARDS.entries()) await on(name, ...insert(`of ${name}`, 10 * (i + 1)));
    const without = await everything();
    await on('s0', ...insert(KEY, 100));
    const start = await everything();
    for (const to of ['s1', 's2', 's0'] as const) {
      await db.$cluster.reassign(KEY, to);
      expect(await everything()).toEqual(placedOn(to, without, start));
    }
    expect(await everything()).toEqual(start);
  });
});

const REFUSED: Readonly<Record<string, { ddl: readonly string[]; tables: ShardedConfig['tables']; message: string }>> =
  {
    'a child of another keyspace': {
      ddl: [
        'create table people (id text primary key)',
        'create table cars (owner text references people (id) on delete cascade, id text primary key)',
      ],
      tables: { cars: { key: 'owner', keyspace: 'cars' } },
      message:
        'cars(owner) refers to people, whose rows do not move together with it (ON DELETE CASCADE). Give cars the shard key of people, or drop the foreign key.',
    },
    'a child with another shard key': {
      ddl: [
        'create table people (id text primary key)',
        'create table cars (id text primary key, owner text references people on delete set null)',
      ],
      tables: {},
      message: 'cars(owner) refers to people, whose rows do not move together with it (ON DELETE SET NULL).',
    },
    'a child that is whole on one shard': {
      ddl: [
        'create table people (id text primary key)',
        'create table staff (id text primary key references people (id))',
      ],
      tables: { staff: { shard: 's0' } },
      message: 'staff(id) refers to people, whose rows do not move together with it.',
    },
    'a child that is replicated': {
      ddl: [
        'create table people (id text primary key)',
        'create table staff (id text primary key references people (id))',
      ],
      tables: { staff: { replicated: true } },
      message: 'staff(id) refers to people',
    },
    'a parent that is whole on one shard': {
      ddl: [
        'create table teams (id text primary key)',
        'create table people (id text primary key, team text references teams)',
      ],
      tables: { teams: { shard: 's0' } },
      message: 'people(team) refers to teams',
    },
    'a table that refers to rows of other keys': {
      ddl: ['create table people (id text primary key, boss text references people (id))'],
      tables: {},
      message:
        'people(boss) refers to people, whose rows do not move together with it. Spread people by a column that such rows share, or drop the foreign key.',
    },
    'a table that refers to rows which the database does not know to have the same key': {
      ddl: [
        'create table people (id text primary key, company text, boss text references people (id) on delete restrict)',
      ],
      tables: { people: { key: 'company' } },
      message:
        'people(boss) refers to people, whose rows do not move together with it (ON DELETE RESTRICT). Write FOREIGN KEY (company, boss) REFERENCES people (company, id), the latter UNIQUE, or drop the foreign key.',
    },
    'a child without a shard key': {
      ddl: [
        'create table people (id text primary key)',
        'create table grants (person text references people (id), role text, primary key (person, role))',
      ],
      tables: {},
      message: 'grants(person) refers to people',
    },
  };

describe('rows that refer to rows which stay', () => {
  it.each(Object.entries(REFUSED))('are not moved: %s', async (_what, { ddl, tables, message }) => {
    const options = { moveTimeout: 200, ...(tables ? { tables } : {}) };
    const { fleet } = await loaded([], options);
    for (const name of SHARDS) await on(name, ...ddl);
    await on('s0', `insert into people (id) values ('${KEY}')`);
    const before = await everything();
    let frozen = false;
    const mover = watched(
      fleet,
      async (_shard, { statements }) => {
        frozen ||= statements.some(({ sql }) => sql.includes('into _shard_move_keys'));
      },
      options,
    );
    const error = await refusalOf(mover.$cluster.reassign(KEY, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_REFUSED' });
    expect(error.message).toContain(message);
    expect(frozen).toBe(false);
    expect(await everything()).toEqual(before);
  });

  it.each([
    ['in a circle', `(1, 'k', 2), (2, 'k', 1)`, 'update staff set boss = null where id = 1', 2],
    [
      'too deep',
      Array.from({ length: 120 }, (_, i) => `(${i}, 'k', ${i === 0 ? 'null' : i - 1})`).join(', '),
      'update staff set boss = null where id = 20',
      120,
    ],
  ])('are not moved where they refer to each other ON DELETE RESTRICT %s', async (_what, rows, mend, count) => {
    const family = FAMILIES['a table that refers to itself ON DELETE RESTRICT'] as Family;
    const { db } = await loaded(family.ddl, { tables: family.tables });
    await on('s0', 'pragma defer_foreign_keys = on', `insert into staff values ${rows}`);
    const before = await everything();
    const error = await refusalOf(db.$cluster.reassign(KEY, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_REFUSED', shard: 's0' });
    expect(error.message).toContain('ON DELETE RESTRICT in a circle, or more than 100 levels deep');
    expect(error.message).toContain('Write ON DELETE NO ACTION');
    expect(await everything()).toEqual(before);
    await on('s0', mend);
    expect(await db.$cluster.reassign(KEY, 's1')).toMatchObject({ rows: count });
  });

  const visits = FAMILIES['reference tables'] as Family;
  const circle = FAMILIES['a circle of two tables that is checked at once'] as Family;
  const inCircle = [
    (circle.ddl[0] as string).replace(
      'primary key, best',
      'primary key, country text references countries (code), best',
    ),
    circle.ddl[1] as string,
  ];

  it.each([
    ['', visits.ddl, visits.tables, visits.insert(KEY, 1)],
    [
      ' beside a circle',
      [...inCircle, visits.ddl[0] as string],
      { ...circle.tables, countries: { replicated: true as const } },
      [
        'pragma defer_foreign_keys = on',
        `insert into authors values ('${KEY}', 'de', 2)`,
        `insert into books values ('${KEY}', 2)`,
      ],
    ],
  ])('are not moved where the row of a reference table is missing%s', async (_what, ddl, tables, insert) => {
    const { db } = await loaded(ddl, { tables, moveTimeout: 200 });
    await on('s0', `insert into countries values ('de')`, ...insert);
    const before = await everything();
    const error = await refusalOf(db.$cluster.reassign(KEY, 's1'));
    expect(error).toMatchObject({ code: 'MOVE_REFUSED', shard: 's1' });
    expect(error.message).toContain('s1 lacks rows that the moved ones refer to by a foreign key.');
    expect(await everything()).toEqual(before);
    await on('s1', `insert into countries values ('de')`);
    await db.$cluster.reassign(KEY, 's1');
    const table = ddl === visits.ddl ? 'visits' : 'authors';
    const [there, here] = await Promise.all((['s1', 's0'] satisfies ShardName[]).map((name) => valuesOn(name, table)));
    expect(there).toEqual(before[`s0 ${table}`]);
    expect(here).toEqual([]);
  });
});
