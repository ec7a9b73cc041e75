import { expect, it } from 'vitest';
import page from '../../docs/collegedb.md?raw';
import guide from '../../docs/from-collegedb.md?raw';
import * as entry from '../../src/collegedb/workerd';

const tests = import.meta.glob('./*.test.ts', { query: '?raw', import: 'default', eager: true });

it('the page lists everything that the entry exports', () => {
  const missing = Object.keys(entry).filter((name) => !page.includes(`\`${name}`) && name !== 'CollegeDBCoordinator');
  expect(missing).toEqual([]);
});

it('lists what the entry exports, each with its section and its test', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `') && line.includes('../test/'));
  expect(rows.length).toBeGreaterThan(20);
  const sections = new Set(
    [...`${page}\n${guide}`.matchAll(/^## (.*)$/gm)].map(([, title]) => title?.toLowerCase().replaceAll(' ', '-')),
  );
  for (const row of rows) {
    const [, name] = /^\| `(\w+)/.exec(row) ?? [];
    expect(Object.keys(entry)).toContain(name);
    expect(sections).toContain(/#([\w-]+)\)/.exec(row)?.[1]);
    for (const [, file] of row.matchAll(/test\/collegedb\/([\w-]+\.test\.ts)/g))
      expect(Object.keys(tests)).toContain(`./${file}`);
  }
});
