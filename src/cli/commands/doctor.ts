import type { CliCommand, Context, Outcome } from '../command';
import { bindingFindings } from '../doctor/bindings';
import { type Checkup, type DoctorFinding, error } from '../doctor/finding';
import { schemaFindings } from '../doctor/schema';
import { shardFindings } from '../doctor/shards';
import { versionFindings } from '../doctor/versions';
import { workFindings } from '../doctor/work';
import { wholeNumber } from '../options';
import { inspect, NO_DRIFT } from './migrations-context';

export const doctor: CliCommand = {
  name: 'doctor',
  summary: 'Look for what is wrong, or will be, and say which command mends it.',
  detail: `Versions, bindings, identities, sizes, migrations and drift, moves and jobs that nobody is at work on, slots, and the
replicated tables. It changes nothing, and reads no rows but those of replicated tables: verify looks at every row. The exit code
is 1 when there is an error.`,
  options: [NO_DRIFT],
  examples: [['doctor --remote --env production', 'when something is wrong, and once a week']],
  run: runDoctor,
};

async function runDoctor(context: Context): Promise<Outcome> {
  const project = await context.project();
  const checkups: Checkup[] = [];
  const look = async (title: string, find: () => Promise<DoctorFinding[]> | DoctorFinding[]) => {
    const findings = await Promise.resolve()
      .then(find)
      .catch((cause) => [stopped(title, cause)]);
    checkups.push({ title, findings });
    show(context, title, findings);
    return findings.every(({ level }) => level !== 'error');
  };
  await look('versions', () => versionFindings(project.root));
  const isBound = await look('bindings', () => bindingFindings(project));
  if (isBound && (await look('catalog', () => lookAtCatalog(context)))) {
    const fleet = await context.fleet();
    const view = await fleet.catalog.map();
    const answers = await look('databases', () =>
      shardFindings(fleet, view, wholeNumber(context.options, 'concurrency') ?? 6),
    );
    if (answers) {
      await look('migrations', async () => schemaFindings(await inspect(context)));
      await look('moves', () => workFindings(fleet, view));
      // It would make the cluster.
      if (view) await look('slots and replicated tables', () => lookAtReplicas(context));
    }
  }
  const all = checkups.flatMap(({ findings }) => findings);
  const errors = all.filter(({ level }) => level === 'error').length;
  const warnings = all.filter(({ level }) => level === 'warning').length;
  context.out.line(errors + warnings === 0 ? 'All is well.' : `${errors} errors, ${warnings} warnings.`);
  return { result: { checkups, errors, warnings }, failed: errors > 0 };
}

async function lookAtCatalog({ fleet }: Context): Promise<DoctorFinding[]> {
  const view = await (await fleet()).catalog.map();
  if (view) return [];
  return [
    {
      level: 'note',
      message: 'There is no cluster yet.',
      mend: 'npx sharded-drizzle migrate makes it, or the first query',
    },
  ];
}

async function lookAtReplicas({ fleet, project }: Context): Promise<DoctorFinding[]> {
  (await project()).needSharding('doctor');
  const { findings } = await (await fleet()).db.$cluster.verify({ rows: false });
  return findings.map(({ message, shard, remedy }) =>
    error(
      `${shard}: ${message}`,
      remedy?.replace('verify({ repair: true })', 'npx sharded-drizzle verify --repair') ??
        'npx sharded-drizzle verify',
      shard,
    ),
  );
}

/** One look that fails must not keep the others from being taken. */
function stopped(title: string, cause: unknown): DoctorFinding {
  const said = cause instanceof Error ? cause.message : String(cause);
  return error(`The look at ${title} has failed: ${said}`, 'Mend what it says, and run doctor again.');
}

const MARKS: Readonly<Record<DoctorFinding['level'], string>> = { error: '✗', warning: '!', note: '·' };

function show({ out }: Context, title: string, findings: readonly DoctorFinding[]): void {
  out.line(`${findings.some(({ level }) => level !== 'note') ? '✗' : '✓'} ${title}`);
  for (const { level, message, mend } of findings) {
    out.line(`  ${MARKS[level]} ${message}`);
    if (mend !== undefined) out.line(`      ${mend}`);
  }
}
