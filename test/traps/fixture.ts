import type { Rules } from './support';

const ids = Array.from({ length: 16 }, (_, i) => `u${i}`);
const values = <T>(list: readonly T[], row: (item: T, i: number) => string): string => list.map(row).join(', ');

/** `name` folds case; posts and orders live with their user; countries are on every shard, settings on one. */
export const tables = [
  'create table users (id text primary key, name text collate nocase, age integer)',
  'create table posts (id text primary key, user_id text, title text)',
  'create table orders (id text primary key, user_id text, total numeric)',
  'create table tags (id text primary key)',
  'create table countries (code text primary key, name text)',
  'create table settings (id text primary key, v text)',
];

export const rows = [
  `insert into users (id, name, age) values ${values(ids, (id, i) => `('${id}', '${'bACa'[i % 4]}${i % 3}', ${i % 5})`)}`,
  `insert into posts (id, user_id, title) values ${values(
    ids.filter((_, i) => i % 3 > 0),
    (id, i) => `('p${i}', '${id}', '${'xYz'[i % 3]}')`,
  )}`,
  `insert into orders (id, user_id, total) values ${values(
    ids.filter((_, i) => i % 2 > 0),
    (id, i) => `('o${i}', '${id}', ${i})`,
  )}`,
  `insert into tags (id) values ${values(ids.slice(1, 8), (id) => `('${id}')`)}`,
  "insert into countries (code, name) values ('de', 'Germany'), ('fr', 'France')",
  "insert into settings (id, v) values ('u1', 'dark')",
];

export const rules: Rules = {
  posts: { key: 'user_id' },
  orders: { key: 'user_id' },
  countries: { replicated: true },
  settings: { shard: 's1' },
};
