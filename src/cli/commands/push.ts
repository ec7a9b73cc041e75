import type { CliCommand } from '../command';
import { UsageError } from '../errors';
import { isOn, text, wholeNumber } from '../options';
import { namesOf } from '../output/names';
import type { Output } from '../output/output';
import { shardList } from '../output/shard-list';
import { loadSchema } from '../project/drizzle-config';
import { applyPush, groupByStatements, type PushedShard, type PushGroup, planPush } from '../push';
import { PushFailedError, refusalOf } from '../push/errors';

export const push: CliCommand = {
  name: 'push',
  summary: 'Make the tables of every shard those of the schema, without a migration.',
  detail: `For databases of development. What would lose data needs --force; what looks like a rename is refused: write a migration.
Tables of this package, of migrations and of D1 are left alone.`,
  options: [
    ['--force', 'also what loses data'],
    ['--canary <shard>', 'the shard that goes first, alone (the first one)'],
  ],
  examples: [
    ['push --dry-run', 'the statements: once where all shards agree, and by shard where they differ'],
    ['push --force', 'and drop what the schema no longer has'],
  ],
  changes: true,
  run: async ({ project: readProject, fleet: openFleet, options, out }) => {
    const project = await readProject();
    const schema = project.sharding.schema ?? (await loadSchema(project.needDrizzle()));
    const fleet = await openFleet();
    const concurrency = wholeNumber(options, 'concurrency') ?? 6;
    const canary = text(options, 'canary');
    if (canary !== undefined && !fleet.databases.has(canary)) {
      throw new UsageError(`There is no shard ${canary}.`, {
        remedy: `Write one of: ${[...fleet.databases.keys()].join(', ')}.`,
      });
    }
    const { casing } = project.sharding;
    const plan = await planPush({
      shards: Object.fromEntries(fleet.databases),
      schema,
      scratch: await fleet.scratch(),
      root: project.root,
      concurrency,
      ...(casing === undefined ? {} : { casing }),
    });
    const groups = groupByStatements(plan.shards).filter(({ statements }) => statements.length > 0);
    show(out, groups, plan.shards.length);
    const behind = plan.shards.filter(({ statements }) => statements.length > 0).map(({ shard }) => shard);
    if (isOn(options, 'dryRun') || behind.length === 0) {
      const refusal = refusalOf(plan.shards, 'obstacles') ?? refusalOf(plan.shards, 'dataLoss');
      if (refusal) out.line(refusal.message);
      return { result: { groups } };
    }
    const list = shardList(out, behind);
    const tell = ({ shard, state, statements, error }: PushedShard) =>
      state === 'failed'
        ? list.failed(shard, error?.message ?? 'failed')
        : list.done(shard, `${statements.length} statements`);
    try {
      const settings = { db: fleet.db, force: isOn(options, 'force'), concurrency, onProgress: tell };
      const report = await applyPush(plan, canary === undefined ? settings : { ...settings, canary });
      return { result: report };
    } catch (error) {
      if (error instanceof PushFailedError) showEnd(out, error.report.shards);
      throw error;
    } finally {
      await list.close();
    }
  },
};

function show(out: Output, groups: readonly PushGroup[], count: number): void {
  if (groups.length === 0) out.line(`${count} shards, and all have the tables of the schema.`);
  for (const { shards, statements, warnings, dataLoss } of groups) {
    out.line(`${shards.length === count ? 'All shards' : namesOf(shards)}:`);
    for (const statement of statements) out.line(`  ${statement.replaceAll('\n', '\n  ')};`);
    for (const warning of warnings) out.line(`  -- ${warning}`);
    for (const loss of dataLoss) out.line(`  -- loses data: ${loss}`);
  }
}

function showEnd(out: Output, shards: readonly PushedShard[]): void {
  out.line();
  out.table(
    ['shard', 'state', 'statements'],
    shards.map(({ shard, state, statements }) => [shard, state, statements.length]),
  );
}
