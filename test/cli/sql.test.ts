import { expect, it } from 'vitest';
import { isReading } from '../../src/cli/commands/sql';

it.each([
  ['select count(*) from users;', true],
  ['values (1)', true],
  ['with q as (select 1) select * from q', true],
  ['pragma table_info(users)', true],
  ["select '; delete from users'", true],
  ['select 1; delete from users', false],
  ['with q as (select 1) delete from users', false],
  ['pragma foreign_keys(0)', false],
  ['pragma optimize', false],
  ['pragma user_version = 3', false],
  ['delete from users', false],
])('%s', (statement, reads) => {
  expect(isReading(statement)).toBe(reads);
});
