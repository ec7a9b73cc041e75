import type { CatalogView, ShardInfo } from '../../catalog/catalog';
import type { Move } from '../../catalog/journal';
import { ConfigError } from '../../errors';
import type { ShardInspection } from '../../migrations/inspect-shards';
import { RoutingMap } from '../../placement/routing-map';
import type { CliCommand, Context, Outcome } from '../command';
import { UsageError } from '../errors';
import { isOn } from '../options';
import { MAX_SHARDS_LISTED, namesOf } from '../output/names';
import type { Cell } from '../output/output';
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
  detail: `Changes nothing, and makes no cluster where there is none yet. Of more than ${MAX_SHARDS_LISTED} shards, those that are alike
share a line.`,
  options: [NO_DRIFT, ['--all', 'a line for each shard, however many there are']],
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
  const infos = new Map(known.map((info) => [info.name, info]));
  const inspected = new Map(inspections?.map((one) => [one.shard, one]));
  const names = new Set([...infos.keys(), ...bound]);
  return [...names].map((shard) => {
    const info = infos.get(shard);
    return {
      shard,
      state: info?.state ?? 'new',
      region: info?.region,
      slotShare: routing?.shareOf(shard) ?? 0,
      migrations: inspected.get(shard),
    };
  });
}

function show(
  { out, options }: Context,
  view: CatalogView | undefined,
  shards: readonly ShardStatus[],
  open: readonly Move[],
): void {
  if (!view) out.line('No cluster yet: the first query makes it, or the first migrate.');
  const listed = shards.map((one) => ({ shards: [one.shard], slotShare: one.slotShare, cells: cellsOf(one) }));
  const isLong = shards.length > MAX_SHARDS_LISTED && !isOn(options, 'all');
  out.table(
    ['shard', 'state', 'region', 'slots', 'migration', 'lacks', ''],
    (isLong ? alike(listed) : listed).map(({ shards, slotShare, cells }) => [
      shards.length > 1 ? `${shards.length.toLocaleString('en')}: ${namesOf(shards, 3)}` : shards[0],
      ...cells.slice(0, 2),
      `${(slotShare * 100).toFixed(1)} %`,
      ...cells.slice(2),
    ]),
  );
  if (open.length > 0) out.line(`${open.length} moves are open: npx sharded-drizzle moves`);
  if (shards.some(({ migrations }) => (migrations?.obstacles.length ?? 0) > 0))
    out.line('npx sharded-drizzle check says more.');
}

interface StatusLine {
  readonly shards: readonly string[];
  readonly slotShare: number;
  readonly cells: readonly Cell[];
}

const cellsOf = ({ state, region, migrations }: ShardStatus): Cell[] => [
  state,
  region ?? '',
  migrations?.applied.at(-1) ?? '',
  migrations ? migrations.pending.length : '',
  migrations?.obstacles.map(({ kind }) => kind).join(', ') ?? '',
];

/** One line for those of which the same is said, so that who is different is seen. */
function alike(lines: readonly StatusLine[]): StatusLine[] {
  return [...Map.groupBy(lines, ({ cells }) => JSON.stringify(cells)).values()].map((group) => ({
    shards: group.flatMap(({ shards }) => shards),
    slotShare: group.reduce((sum, { slotShare }) => sum + slotShare, 0),
    cells: group[0]?.cells ?? [],
  }));
}
