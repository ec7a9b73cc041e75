import { prepareShard } from '../../migrations/prepare-shard';
import type { CliCommand, Context, Outcome } from '../command';
import { RefusedError, UsageError } from '../errors';
import { remoteClient } from '../fleet/remote';
import { isOn, text } from '../options';
import { runJob } from '../output/job-progress';
import type { Project } from '../project/project';
import type { DatabaseBinding } from '../project/wrangler-config';
import { createDatabase, databaseByName, type LocationHint } from '../remote/databases';

const LOCATIONS: readonly LocationHint[] = ['wnam', 'enam', 'weur', 'eeur', 'apac', 'oc'];

export const newShard: CliCommand = {
  name: 'new-shard',
  summary: 'Add a database to the cluster, step by step: run it until it says that it is done.',
  detail: `1. With --remote it makes the database and says what to write into wrangler's configuration and sharded.config.ts. 2. It
brings the database to the migrations of the others, before any Worker knows it. 3. Deploy the Worker, so that it is bound
everywhere. 4. It joins the cluster and gets the reference tables. It owns nothing until rebalance.`,
  arguments: [['<shard>', 'the name of the new shard']],
  options: [
    ['--location <region>', `where Cloudflare shall make it: ${LOCATIONS.join(', ')}`],
    ['--join', 'with --remote: the Worker that binds it is deployed'],
  ],
  examples: [
    ['new-shard db-south --remote --location apac', 'make the database; then write what it says, and run it again'],
    ['new-shard db-south --remote --join', 'after the Worker was deployed with it'],
    ['rebalance --remote --dry-run', 'then give it its share'],
  ],
  changes: true,
  run: async (context, [name = '']) => {
    const project = await context.project();
    project.needSharding('new-shard');
    const isBound = Object.hasOwn(project.sharding.shards, name);
    const binding = isBound ? project.databases().get(name) : undefined;
    if (context.options.remote === true && binding?.id === undefined) return make(context, project, name, binding);
    if (!binding) {
      return configure(context, project, { name, binding: bindingOf(name), database: databaseOf(project, name) });
    }
    return join(context, project, name);
  },
};

/** Makes the database in the account. */
async function make(
  context: Context,
  project: Project,
  name: string,
  bound: DatabaseBinding | undefined,
): Promise<Outcome> {
  const location = text(context.options, 'location');
  if (location !== undefined && !LOCATIONS.some((one) => one === location)) {
    throw new UsageError(`--location ${location} is no region of D1.`, {
      remedy: `Write one of: ${LOCATIONS.join(', ')}.`,
    });
  }
  const client = remoteClient(project, process.env);
  const database = bound?.name ?? databaseOf(project, name);
  const found = await databaseByName(client, database);
  if (found) context.out.line(`The account has a database ${database}.`);
  else if (isOn(context.options, 'dryRun')) {
    context.out.line(`It would make the database ${database}${location ? ` in ${location}` : ''}.`);
    return { result: { step: 'make', shard: name, database } };
  }
  const { id } = found ?? (await createDatabase(client, database, location as LocationHint | undefined));
  if (!found) context.out.line(`The database ${database} is made.`);
  return configure(context, project, { name, binding: bound?.binding ?? bindingOf(name), database, id });
}

const bindingOf = (name: string): string => name.toUpperCase().replace(/[^A-Z0-9]+/g, '_');

/** Names are unique in an account: shards of two environments must not be one database. */
const databaseOf = ({ config }: Project, name: string): string =>
  config.env === undefined ? name : `${name}-${config.env}`;

interface NewDatabase {
  readonly name: string;
  readonly binding: string;
  readonly database: string;
  /** Undefined for databases of this machine, which need none. */
  readonly id?: string;
}

/** What only a person can write. */
function configure({ out }: Context, { config }: Project, { name, binding, database, id }: NewDatabase): Outcome {
  const entry = { binding, database_name: database, ...(id === undefined ? {} : { database_id: id }) };
  const section = config.env === undefined ? 'd1_databases' : `env.${config.env}.d1_databases`;
  if (config.path.endsWith('.toml')) {
    out.line(`Write into ${config.path}:`);
    out.line();
    out.line(`[[${section}]]`);
    for (const [key, value] of Object.entries(entry)) out.line(`${key} = "${value}"`);
  } else {
    out.line(`Write into ${section} of ${config.path}:`);
    out.line();
    out.line(JSON.stringify(entry, undefined, 2));
  }
  out.line();
  out.line(`and into \`shards\` of sharded.config.ts: '${name}': '${binding}'. Then run this again.`);
  return { result: { step: 'configure', shard: name, binding, database, ...(id ? { databaseId: id } : {}) } };
}

async function join(context: Context, project: Project, name: string): Promise<Outcome> {
  const { out, options } = context;
  const fleet = await context.fleet({ joining: name });
  const view = await fleet.catalog.map();
  const state = view?.map.shards.find((shard) => shard.name === name)?.state;
  if (state === 'retired') {
    throw new RefusedError(`${name} has left the cluster: its digest is closed.`, {
      remedy: 'Give the new database another name.',
    });
  }
  if (state === 'active' || state === 'draining') {
    out.line(`${name} is in use. It gets its share by: npx sharded-drizzle rebalance`);
    return { result: { step: 'done', shard: name } };
  }
  const isDeployed = fleet.where === 'local' || state === 'adding' || options.join === true;
  if (isOn(options, 'dryRun')) {
    out.line(
      `It would bring ${name} to the migrations of the others${isDeployed ? ', and join it to the cluster' : ''}.`,
    );
    return { result: { step: isDeployed ? 'join' : 'migrate', shard: name } };
  }
  const applied = await prepareShard(fleet.cluster, project.migrations(), name);
  out.line(applied.length > 0 ? `${name} has got ${applied.join(', ')}.` : `${name} has the migrations of the others.`);
  if (!isDeployed) {
    // A Worker that does not bind it would refuse every query that asks all shards.
    const env = text(options, 'env');
    out.line(
      `Deploy the Worker, and then: npx sharded-drizzle new-shard ${name} --remote${env ? ` --env ${env}` : ''} --join`,
    );
    return { result: { step: 'deploy', shard: name, applied } };
  }
  const { job } = await runJob(fleet, out, context.heedStop(), async () => {
    const started = await fleet.db.$cluster.addShard(name);
    return started ? { job: started } : {};
  });
  if (job && job.state !== 'done') {
    out.line(job.error ?? `Job ${job.id} is ${job.state}.`);
    return { result: { step: 'join', shard: name, applied, job }, failed: true };
  }
  out.line(`${name} has joined. It owns nothing yet: npx sharded-drizzle rebalance --dry-run shows what it would get.`);
  return { result: { step: 'done', shard: name, applied } };
}
