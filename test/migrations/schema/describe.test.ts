import { beforeEach, expect, it } from 'vitest';
import { compareSchemas, describeSchema } from '../../../src';
import { resetDatabases } from '../../support/reset';
import { plain, shards } from '../../support/shards';

beforeEach(resetDatabases);

const other = () => shards(1).s0 as D1Database;
const run = (d1: D1Database, statements: readonly string[]) => d1.batch(statements.map((sql) => d1.prepare(sql)));

const WHOLE: readonly string[] = [
  `CREATE TABLE \`teams\` (\`id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL, \`name\` text COLLATE NOCASE DEFAULT 'A b', UNIQUE (id, name))`,
  `CREATE TABLE users (
    id text PRIMARY KEY NOT NULL, team integer REFERENCES teams ON DELETE CASCADE,
    email varchar(10), age integer CHECK (users.age >= 18), -- a comment
    shout text GENERATED ALWAYS AS (upper(email)) STORED, made text DEFAULT (datetime('now')),
    CONSTRAINT mail CHECK ("email" != ''), UNIQUE (email, age),
    FOREIGN KEY (team, age) REFERENCES teams (id, name) ON UPDATE SET NULL
  )`,
  'CREATE TABLE kv (a text, b text, PRIMARY KEY (b, a)) STRICT, WITHOUT ROWID',
  'CREATE UNIQUE INDEX users_email ON users (lower(email) COLLATE NOCASE DESC, age) WHERE age IS NOT NULL',
  'CREATE INDEX users_team ON users (team DESC)',
  'CREATE VIEW adults AS SELECT id FROM users WHERE age > 20',
  "CREATE TRIGGER aged AFTER UPDATE OF age ON users BEGIN UPDATE users SET made = 'Now' WHERE id = new.id; END",
  'CREATE VIRTUAL TABLE search USING fts5(email, content=users)',
];

const OURS = [
  'create table __drizzle_migrations (id integer)',
  'create table d1_migrations (id integer)',
  'create table _shard_slots (id integer)',
  'create index by_id on _shard_slots (id)',
];

it("reads everything that a database is made of, and nothing that is not the user's", async () => {
  await run(plain, [...WHOLE, ...OURS]);
  const schema = await describeSchema(plain);
  expect(schema.tables.map(({ name, columns }) => [name, ...columns.map((one) => `${one.name} ${one.type}`)])).toEqual([
    ['kv', 'a TEXT', 'b TEXT'],
    ['teams', 'id INTEGER', 'name TEXT'],
    ['users', 'id TEXT', 'team INTEGER', 'email VARCHAR(10)', 'age INTEGER', 'shout TEXT', 'made TEXT'],
  ]);
  expect(schema.tables[2]).toMatchObject({
    primaryKey: ['id'],
    autoincrement: false,
    uniques: [['email', 'age']],
    checks: ['age >= 18', "email <> ''"],
    foreignKeys: [
      {
        columns: ['team', 'age'],
        table: 'teams',
        foreignColumns: ['id', 'name'],
        onDelete: 'no action',
        onUpdate: 'set null',
      },
      { columns: ['team'], table: 'teams', foreignColumns: ['id'], onDelete: 'cascade', onUpdate: 'no action' },
    ],
    strict: false,
    withoutRowid: false,
  });
  expect(schema.tables[2]?.columns[4]).toEqual({
    name: 'shout',
    type: 'TEXT',
    notNull: false,
    default: undefined,
    collation: 'BINARY',
    generated: { as: 'upper ( email )', stored: true },
  });
  expect(schema.tables[0]).toMatchObject({ primaryKey: ['b', 'a'], strict: true, withoutRowid: true });
  expect(schema.tables[1]).toMatchObject({
    autoincrement: true,
    columns: [{}, { collation: 'NOCASE', default: "'A b'" }],
  });
  expect(schema.indexes).toEqual([
    {
      name: 'users_email',
      table: 'users',
      unique: true,
      terms: ['lower ( email ) collate nocase desc', 'age'],
      where: 'age is not null',
    },
    { name: 'users_team', table: 'users', unique: false, terms: ['team desc'], where: undefined },
  ]);
  expect(schema.views).toEqual([
    { name: 'adults', table: 'adults', sql: 'create view adults as select id from users where age > 20' },
  ]);
  expect(schema.triggers.map(({ name, table }) => [name, table])).toEqual([['aged', 'users']]);
  expect(schema.virtualTables.map(({ name }) => name)).toEqual(['search']);
});

it('white space, quotes, case and the order of columns make no difference', async () => {
  await run(plain, WHOLE);
  await run(other(), [
    `create table "teams" (ID INTEGER primary key autoincrement not null, [Name] TEXT default 'A b' collate nocase, unique ( ID, "NAME" ))`,
    `create table "users" ("email" VARCHAR (10) check (email<>''), "id" text not null, "age" INTEGER check ("age">=18),
      made text default ( datetime ( 'now' ) ), team integer, shout text as (upper("email")) stored, primary key (id),
      unique ("email", "age"), foreign key (team, age) references "teams" (id, name) on update set null,
      foreign key (team) references teams (id) on delete cascade)`,
    'create table KV (b text, a text, primary key (b, a)) without rowid, strict',
    'create unique index users_email on "users" (LOWER("email") collate nocase desc, "age") where "users"."age" is not null',
    'create index users_team on users (team desc)',
    'create view if not exists adults as select "id" from `users` where age>20 /* grown up */',
    "create trigger aged after update of age on users begin update users set made='Now' where id=new.id; end",
    'create virtual table search using FTS5(email, content=users)',
  ]);
  expect(compareSchemas(await describeSchema(plain), await describeSchema(other()))).toEqual([]);
});

it.each([
  ['alter table users add phone text', 'column users.phone is not in the migrations'],
  ['alter table users drop column made', 'column users.made is missing'],
  ['drop index users_team', 'index users_team is missing'],
  ['drop view adults', 'view adults is missing'],
  ['drop trigger aged', 'trigger aged is missing'],
  ['drop table search', 'virtual table search is missing'],
  ['drop table kv', 'table kv is missing'],
  ['create table notes (id text)', 'table notes is not in the migrations'],
  ['create index kv_a on kv (a)', 'index kv_a is not in the migrations'],
])('%s', async (statement, message) => {
  await run(plain, WHOLE);
  await run(other(), [...WHOLE, statement]);
  const differences = compareSchemas(await describeSchema(plain), await describeSchema(other()));
  expect(differences.map((one) => one.message)).toEqual([message]);
});

it.each([
  ['varchar(10)', 'text', 'users.email: type TEXT here, should be VARCHAR(10)'],
  ['age integer', 'age integer not null', 'users.age: not null yes here, should be no'],
  ["DEFAULT (datetime('now'))", '', "users.made: default none here, should be datetime ( 'now' )"],
  ["DEFAULT 'A b'", "DEFAULT 'a b'", "teams.name: default 'a b' here, should be 'A b'"],
  ['COLLATE NOCASE DEFAULT', 'DEFAULT', 'teams.name: collation BINARY here, should be NOCASE'],
  [
    'STORED',
    'VIRTUAL',
    'users.shout: generated as (upper ( email )) virtual here, should be as (upper ( email )) stored',
  ],
  ['PRIMARY KEY (b, a)', 'PRIMARY KEY (a, b)', 'kv: primary key (a, b) here, should be (b, a)'],
  ['AUTOINCREMENT', '', 'teams: autoincrement no here, should be yes'],
  ['STRICT, WITHOUT ROWID', 'WITHOUT ROWID', 'kv: strict no here, should be yes'],
  ['STRICT, WITHOUT ROWID', 'STRICT', 'kv: without rowid no here, should be yes'],
  ['age >= 18', 'age > 18', 'users: check (age >= 18) is missing; users: check (age > 18) is not in the migrations'],
  [
    'UNIQUE (email, age)',
    'UNIQUE (age)',
    'users: unique (email, age) is missing; users: unique (age) is not in the migrations',
  ],
  [
    'ON DELETE CASCADE',
    'ON DELETE SET NULL',
    'users: foreign key (team) references teams (id) on delete cascade is missing; users: foreign key (team) references teams (id) on delete set null is not in the migrations',
  ],
  ['team DESC', 'team', 'index users_team: on users (team) here, should be on users (team desc)'],
  [
    'COLLATE NOCASE DESC',
    'DESC',
    'index users_email: unique on users (lower ( email ) desc, age) where age is not null here, should be unique on users (lower ( email ) collate nocase desc, age) where age is not null',
  ],
  ['age > 20', 'age > 21', 'view adults: its SQL is another one than in the migrations'],
  ["'Now'", "'now'", 'trigger aged: its SQL is another one than in the migrations'],
])('%s that is %s', async (should, is, message) => {
  await run(plain, WHOLE);
  await run(
    other(),
    WHOLE.map((sql) => sql.replace(should, is)),
  );
  const differences = compareSchemas(await describeSchema(plain), await describeSchema(other()));
  expect(differences.map((one) => one.message).join('; ')).toBe(message);
});

it('what stands in quotes in an expression of an index has a case', async () => {
  const by = (path: string) => ['create table docs (Body text)', `create index i on docs (body ->> '${path}', BODY)`];
  await run(plain, by('$.userId'));
  await run(other(), by('$.userid'));
  const differences = compareSchemas(await describeSchema(plain), await describeSchema(other()));
  expect(differences.map((one) => one.message)).toEqual([
    "index i: on docs (body ->> '$.userid', body) here, should be on docs (body ->> '$.userId', body)",
  ]);
});

it('bytes are no number', async () => {
  await run(plain, ["create table docs (a default x'0F', b default x'41')"]);
  await run(other(), ["create table docs (a default X'0f', b default 41)"]);
  const differences = compareSchemas(await describeSchema(plain), await describeSchema(other()));
  expect(differences.map((one) => one.message)).toEqual(["docs.b: default 41 here, should be x'41'"]);
});

it('a UNIQUE with a collation of its own is another one', async () => {
  await run(plain, [
    'create table docs (name text, other text collate nocase, unique (name collate nocase), unique (other))',
  ]);
  await run(other(), ['create table docs (name text, other text collate nocase, unique (name), unique (other))']);
  const differences = compareSchemas(await describeSchema(plain), await describeSchema(other()));
  expect(differences.map((one) => one.message)).toEqual([
    'docs: unique (name collate nocase) is missing',
    'docs: unique (name) is not in the migrations',
  ]);
});
