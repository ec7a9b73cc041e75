/** The tables of the golden plans. */
export const tables = [
  'create table users (id text primary key, name text not null, age integer)',
  'create table posts (id text primary key, user_id text not null, title text)',
  'create table orders (id integer primary key, user_id text not null, total numeric, code text)',
  'create unique index orders_code on orders (user_id, code)',
  'create table numbers (id integer primary key, v text)',
  'create table accounts (id text primary key, email text unique)',
  'create table audits (id text primary key, note text)',
  'create table countries (code text primary key, name text)',
  'create table settings (id text primary key, v text)',
];

const COLUMNS: Readonly<Record<string, string>> = {
  users: 'id, name, age',
  posts: 'id, user_id, title',
  orders: 'id, user_id, total, code',
  numbers: 'id, v',
  accounts: 'id, email',
  audits: 'id, note',
  countries: 'code, name',
  settings: 'id, v',
};

export const NAMES = new Set([...Object.keys(COLUMNS), ...Object.values(COLUMNS).flatMap((list) => list.split(', '))]);

const rows = (count: number, row: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => `(${row(i)})`).join(', ');

export const seedStatements = [
  `insert into users values ${rows(9, (i) => `'u${i}', '${'xAbC'[i % 4]}', ${i % 4 === 3 ? 'null' : i % 5}`)}`,
  `insert into posts values ${rows(12, (i) => `'p${i}', 'u${i % 7}', '${'xyZ'[i % 3]}'`)}`,
  `insert into orders values ${rows(10, (i) => `${i + 1}, 'u${(i * 3) % 8}', ${i % 3 === 0 ? 2.5 : i}, 'c${i}'`)}`,
  `insert into numbers values ${rows(8, (i) => `${i === 7 ? '9007199254740993' : i}, 'v${i % 3}'`)}`,
  `insert into accounts values ${rows(5, (i) => `'u${i}', 'e${i}'`)}`,
  `insert into audits values ${rows(6, (i) => `'u${i}', 'n${i % 2}'`)}`,
  "insert into countries values ('de', 'Germany'), ('fr', 'France'), ('u1', 'x')",
  "insert into settings values ('u1', 'dark'), ('a', 'x')",
];

/** Every row as the statement that inserts it. */
export async function contents(database: D1Database): Promise<readonly string[]> {
  const parts = Object.entries(COLUMNS).map(([table, columns]) => {
    const values = columns.split(', ').map((name) => `quote(${name})`);
    return database.prepare(
      `select 'insert into ${table} values (' || ${values.join(" || ', ' || ")} || ')' as r from ${table}`,
    );
  });
  return (await database.batch<{ r: string }>(parts)).flatMap(({ results }) => results.map(({ r }) => r)).sort();
}

/** To be run before {@link contents} are put back. */
export const clearing = Object.keys(COLUMNS).map((table) => `delete from ${table}`);
