import type { CatalogView, ShardInfo } from '../../catalog/catalog';
import type { Move } from '../../catalog/journal';
import { ConfigError } from '../../errors';
import type { ShardInspection } from '../../migrations/inspect-shards';
import { RoutingMap } from '../../placement/routing-map';
import type { CliCommand, Context, Outcome } from '../command';
import { UsageError } from '../errors';
import { inspect, NO_DRIFT } from './migrations-context';

/** What is known of one shard without asking its rows. */
interface ShardStatus {
  readonly shard: string;
  /** Of the catalog; `new`: the catalog does not know it yet. */
  readonly state: ShardInfo['state'] | 'new';
  readonly region: string | undefined;
  /** From 0 to 1. */
  readonly slotShare: number;
  readonly migrations: Pick<ShardInspection, 'applied' | 'pending' | 'obstacles'> | undefined;
}

export const status: CliCommand = {
  name: 'status',
  summary: 'Show each shard: what it owns, its migrations, and what is under way.',
  detail: 'Changes nothing, and makes no cluster where there is none yet.',
  options: [NO_DRIFT],
  examples: [
    ['status', 'the databases of wrangler dev'],
    ['status --remote --env production --json', 'for a dashboard'],
  ],
  run: async (context) => {
    const { catalog, databases } = await context.fleet();
    const view = await catalog.map();
    const inspections = await inspected(context);
    const shards = statusOf(view, [...databases.keys()], inspections);
    const open = await catalog.moves(0).catch(() => []);
    const jobs = view ? (await catalog.jobs(0)).filter(({ state }) => state === 'running' || state === 'paused') : [];
    show(context, view, shards, open);
    for (const { id, kind, state } of jobs)
      context.out.line(`Job ${id} (${kind}) is ${state}: npx sharded-drizzle moves`);
    return {
      result: { cluster: view?.map.cluster ?? null, epoch: view?.map.epoch ?? null, shards, moves: open, jobs },
    } satisfies Outcome;
  },
};

/** Undefined where the project has no migrations. */
async function inspected(context: Context): Promise<readonly ShardInspection[] | undefined> {
  try {
    return (await inspect(context)).shards;
  } catch (error) {
    if (error instanceof ConfigError || error instanceof UsageError) return undefined;
    throw error;
  }
}

function statusOf(
  view: CatalogView | undefined,
  bound: readonly string[],
  inspections: readonly ShardInspection[] | undefined,
): ShardStatus[] {
  const known = view?.map.shards ?? [];
  const routing = view && new RoutingMap(view.map);
  const names = new Set([...known.map(({ name }) => name), ...bound]);
  return [...names].map((shard) => {
    const info = known.find(({ name }) => name === shard);
    return {
      shard,
      state: info?.state ?? 'new',
      region: info?.region,
      slotShare: routing?.shareOf(shard) ?? 0,
      migrations: inspections?.find((one) => one.shard === shard),
    };
  });
}

function show(
  { out }: Context,
  view: CatalogView | undefined,
  shards: readonly ShardStatus[],
  open: readonly Move[],
): void {
  if (!view) out.line('No cluster yet: the first query makes it, or the first migrate.');
  out.table(
    ['shard', 'state', 'region', 'slots', 'migration', 'lacks', ''],
    shards.map(({ shard, state, region, slotShare, migrations }) => [
      shard,
      state,
      region ?? '',
      `${(slotShare * 100).toFixed(1)} %`,
      migrations?.applied.at(-1) ?? '',
      migrations ? migrations.pending.length : '',
      migrations?.obstacles.map(({ kind }) => kind).join(', ') ?? '',
    ]),
  );
  if (open.length > 0) out.line(`${open.length} moves are open: npx sharded-drizzle moves`);
  if (shards.some(({ migrations }) => (migrations?.obstacles.length ?? 0) > 0))
    out.line('npx sharded-drizzle check says more.');
}
