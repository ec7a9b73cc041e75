import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  MigrationFailedError,
  type MigrationReport,
  MigrationStoppedError,
  type ShardMigration,
} from '../../migrations/errors';
import { migrateShards } from '../../migrations/migrate-shards';
import { inTurns } from '../../migrations/shards';
import type { CliCommand, Context, Outcome } from '../command';
import type { Fleet, RestorePoint } from '../fleet/fleet';
import { isOn, text } from '../options';
import { MAX_SHARDS_LISTED, namesOf } from '../output/names';
import type { Output } from '../output/output';
import { type ShardList, shardList } from '../output/shard-list';
import { migrationsContext, NO_DRIFT } from './migrations-context';

export const migrate: CliCommand = {
  name: 'migrate',
  summary: 'Bring every shard to the newest migration.',
  detail: `All shards are looked at first; nothing is begun while one of them is ahead, was edited, or has drifted. Then the
canary gets what it lacks, then the others. What one shard lacks is one transaction. It stops at the first failure,
and goes on from there when it is run again. No rows are moved meanwhile. Ctrl-C stops it after the shards that are under way.`,
  options: [
    ['--canary <shard>', 'the shard that goes first, alone (the first one)'],
    NO_DRIFT,
    ['--no-bookmarks', 'with --remote: do not ask for Time Travel bookmarks'],
  ],
  examples: [
    ['migrate --dry-run', 'what each shard lacks, and what would be in the way'],
    ['migrate', 'the databases of wrangler dev'],
    ['migrate --remote --env production --canary db-west', "Cloudflare's, db-west first"],
  ],
  changes: true,
  run: runMigrate,
};

async function runMigrate(context: Context): Promise<Outcome> {
  const { fleet: openFleet, project, options, out } = context;
  const { migrations, concurrency, expected } = await migrationsContext(context);
  const fleet = await openFleet();
  const canary = text(options, 'canary');
  const settings = {
    concurrency,
    ...(expected ? { expected } : {}),
    ...(canary === undefined ? {} : { canary }),
  };
  if (isOn(options, 'dryRun')) {
    const looked = await migrateShards(fleet.db, migrations, { ...settings, dryRun: true });
    showPlan(out, looked);
    return { result: looked };
  }
  const signal = context.heedStop();
  let list: ShardList | undefined;
  signal.addEventListener('abort', () => list?.stop());
  let restore: Record<string, RestorePoint> = {};
  try {
    const report = await migrateShards(fleet.db, migrations, {
      ...settings,
      signal,
      onPlan: async (plan) => {
        showPlan(out, plan);
        const behind = plan.shards.filter(({ pending }) => pending.length > 0).map(({ shard }) => shard);
        if (options.bookmarks !== false) restore = await restorePoints(fleet, behind, concurrency);
        showRestorePoints(out, (await project()).root, restore);
        list = shardList(out, behind);
      },
      onBegin: (shard) => list?.begin(shard),
      onProgress: (shard) => tell(list, shard),
    });
    await list?.close();
    return { result: { ...report, restore } };
  } catch (error) {
    await list?.close();
    if (error instanceof MigrationFailedError || error instanceof MigrationStoppedError) showEnd(out, error.report);
    throw error;
  }
}

/** Where each of these databases is now, so that it can be brought back; only Cloudflare's can. */
async function restorePoints(
  fleet: Fleet,
  shards: readonly string[],
  concurrency: number,
): Promise<Record<string, RestorePoint>> {
  const found: Record<string, RestorePoint> = {};
  await inTurns(shards, concurrency, async (shard) => {
    const point = await fleet.restorePoint?.(shard);
    if (point) found[shard] = point;
    return true;
  });
  return found;
}

/** Before the first change, also where this process is killed after it. Of many shards they are put into a file. */
function showRestorePoints(out: Output, root: string, points: Readonly<Record<string, RestorePoint>>): void {
  const commands = Object.values(points).map(({ command }) => command);
  if (commands.length === 0) return;
  if (commands.length <= MAX_SHARDS_LISTED) {
    out.line('To bring a database back to what it is now (its rows as well):');
    for (const command of commands) out.line(`  ${command}`);
    return;
  }
  // Beside wrangler's own files, which are not committed.
  const file = join('.wrangler', 'sharded-drizzle', `restore-${new Date().toISOString().replaceAll(':', '-')}.txt`);
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), `${commands.join('\n')}\n`);
  out.line(`How to bring each database back to what it is now (its rows as well) is in ${file}:`);
  out.line(`  ${commands[0]}`);
}

function showPlan(out: Output, { shards }: MigrationReport): void {
  const behind = shards.filter(({ pending }) => pending.length > 0);
  if (behind.length === 0) {
    out.line(`${shards.length} shards, and all have the newest migration.`);
    return;
  }
  out.line(`${behind.length} of ${shards.length} shards lack migrations:`);
  // Most often all lack the same.
  const groups = Map.groupBy(behind, ({ pending }) => pending.join(', '));
  for (const [pending, group] of groups) out.line(`  ${pending}  on ${namesOf(group.map(({ shard }) => shard))}`);
}

function tell(list: ShardList | undefined, { shard, state, applied, error }: ShardMigration): void {
  if (state === 'failed') list?.failed(shard, error?.message ?? 'failed');
  else list?.done(shard, applied.join(', '));
}

function showEnd(out: Output, { shards }: MigrationReport): void {
  const rows = shards.map(({ shard, state, applied, pending }) => ({
    shard,
    cells: [state, applied.join(', '), pending.join(', ')],
  }));
  const groups =
    rows.length > MAX_SHARDS_LISTED
      ? [...Map.groupBy(rows, ({ cells }) => cells.join('\n')).values()]
      : rows.map((row) => [row]);
  out.line();
  out.table(
    ['shard', 'state', 'applied', 'lacks'],
    groups.map((group) => [namesOf(group.map(({ shard }) => shard)), ...(group[0]?.cells ?? [])]),
  );
}
