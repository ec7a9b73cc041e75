import fc from 'fast-check';
import { beforeEach, expect, it } from 'vitest';
import { compareSchemas, describeSchema } from '../../../src';
import { resetDatabases } from '../../support/reset';
import { plain } from '../../support/shards';

beforeEach(resetDatabases);

interface ColumnSpec {
  readonly type: string;
  readonly notNull: boolean;
  readonly default: string;
  readonly check: string;
  readonly unique: boolean;
  readonly index: '' | 'index' | 'unique index';
}

const column: fc.Arbitrary<ColumnSpec> = fc.record({
  type: fc.constantFrom('integer', 'text', 'real', 'blob', 'numeric(4,2)'),
  notNull: fc.boolean(),
  default: fc.constantFrom('', "'a'", '7', "(strftime('%s','now'))"),
  check: fc.constantFrom('', '> 0', "<> 'x)'", 'in (1, 2)'),
  unique: fc.boolean(),
  index: fc.constantFrom('' as const, 'index' as const, 'unique index' as const),
});
const columns = fc.array(column, { minLength: 1, maxLength: 4 });

/** As drizzle-kit writes a table; `order` of the columns. */
const tableSql = (table: string, specs: readonly ColumnSpec[], order: readonly number[]): string => {
  const lines = order.map((i) => {
    const spec = specs[i] as ColumnSpec;
    const value = spec.default === '' ? '' : ` DEFAULT ${spec.default}`;
    return `\`c${i}\` ${spec.type}${value}${spec.notNull ? ' NOT NULL' : ''}${spec.unique ? ' UNIQUE' : ''}`;
  });
  const checks = specs.flatMap(({ check }, i) =>
    check === '' ? [] : [`CONSTRAINT "k${i}" CHECK("${table}"."c${i}" ${check})`],
  );
  return `CREATE TABLE \`${table}\` (\`id\` text PRIMARY KEY NOT NULL, ${[...lines, ...checks].join(', ')})`;
};

const indexSql = (specs: readonly ColumnSpec[]): string[] =>
  specs.flatMap(({ index }, i) =>
    index === '' ? [] : [`CREATE ${index.toUpperCase()} \`i${i}\` ON \`t\` (\`c${i}\`)`],
  );

const inOrder = (specs: readonly ColumnSpec[]) => specs.map((_, i) => i);
const made = async (specs: readonly ColumnSpec[]) => {
  await run('DROP TABLE IF EXISTS `t`', tableSql('t', specs, inOrder(specs)), ...indexSql(specs));
  return describeSchema(plain);
};
const run = (...statements: string[]) => plain.batch(statements.map((sql) => plain.prepare(sql)));

it('a table that was rebuilt, with its columns in another order, is the same one', async () => {
  await fc.assert(
    fc.asyncProperty(columns, async (specs) => {
      const before = await made(specs);
      await run(
        'PRAGMA foreign_keys=OFF',
        tableSql('__new_t', specs, inOrder(specs).reverse()),
        'INSERT INTO `__new_t`("id") SELECT "id" FROM `t`',
        'DROP TABLE `t`',
        'ALTER TABLE `__new_t` RENAME TO `t`',
        'PRAGMA foreign_keys=ON',
        ...indexSql(specs),
      );
      expect(compareSchemas(before, await describeSchema(plain))).toEqual([]);
    }),
    { seed: 7, numRuns: 30 },
  );
});

it('every single change is found', async () => {
  const change = fc.tuple(
    columns,
    fc.nat(),
    fc.constantFrom('type', 'notNull', 'default', 'check', 'unique', 'index') as fc.Arbitrary<keyof ColumnSpec>,
    column,
  );
  await fc.assert(
    fc.asyncProperty(change, async ([specs, nth, what, other]) => {
      const at = nth % specs.length;
      const changed = specs.map((spec, i) => (i === at ? { ...spec, [what]: other[what] } : spec));
      const isSame = specs[at]?.[what] === other[what];
      const differences = compareSchemas(await made(specs), await made(changed));
      // What says the same thing twice is one more index, too.
      expect(differences.length > 0, JSON.stringify([specs, at, what, other])).toBe(!isSame);
      for (const { name } of differences) expect([`t.c${at}`, 't', `i${at}`]).toContain(name);
    }),
    { seed: 7, numRuns: 80 },
  );
});
