import type { ConflictRules } from '../../adoption/decide';
import type { CliCommand, Context, Outcome } from '../command';
import { UsageError } from '../errors';
import { isOn, text } from '../options';
import { runJob } from '../output/job-progress';
import { endOfJob } from './job-end';

export const adopt: CliCommand = {
  name: 'adopt',
  summary: 'Find the keys of databases that came with rows, so that no query has to look for them any more.',
  detail: `Rows answer from the first query on, scanned or not. Keys that two databases came with are refused until somebody says
which rows are the right ones: --resolve.`,
  options: [
    [
      '--resolve <rules>',
      'table=shard keeps the rows of that shard and sets the others aside; table=renumber gives new ids. With commas',
    ],
  ],
  examples: [
    ['adopt --dry-run', 'what the databases come with: rows, keys that several have, what would be in the way'],
    ['adopt', 'scan to the end; goes on where another one has stopped'],
    ['adopt --resolve users=db-east,logs=renumber', 'what becomes of keys that two databases came with'],
  ],
  changes: true,
  run: async (context, _args) => {
    const { project, fleet: openFleet, options, out } = context;
    (await project()).needSharding('adopt');
    const fleet = await openFleet();
    if (isOn(options, 'dryRun')) {
      const plan = await fleet.db.$cluster.planAdoption();
      out.line(plan.text);
      return { result: { plan } };
    }
    const rules = text(options, 'resolve');
    if (rules !== undefined) return resolve(context, readRules(rules));
    const { job } = await runJob(
      fleet,
      out,
      context.heedStop(),
      async ({ background = false, onProgress = () => {} }) => {
        const started = await fleet.db.$cluster.adopt({ background, onProgress });
        return started ? { job: started } : {};
      },
    );
    const adoption = await fleet.db.$cluster.adoption();
    for (const { keyspace, key, shards } of adoption.conflicts.slice(0, 20)) {
      out.line(`The key '${key}' of ${keyspace} is in ${shards.join(' and ')}: see --resolve.`);
    }
    const outcome = endOfJob(out, job, { ...adoption });
    return { ...outcome, failed: outcome.failed === true || adoption.conflicts.length > 0 };
  },
};

async function resolve({ fleet: openFleet, out }: Context, rules: ConflictRules): Promise<Outcome> {
  const report = await (await openFleet()).db.$cluster.resolveConflicts(rules);
  out.line(`${report.keys} keys can be used again.`);
  for (const { shard, table, rows } of report.setAside) out.line(`${rows} rows of ${table} on ${shard} are set aside.`);
  for (const { shard, table, rows } of report.renumbered)
    out.line(`${rows} rows of ${table} on ${shard} have new ids.`);
  for (const { key, table } of report.undecided) out.line(`No rule decides '${key}': ${table} has none.`);
  return { result: report, failed: report.undecided.length > 0 };
}

function readRules(rules: string): ConflictRules {
  const read = rules.split(',').map((rule): [string, ConflictRules[string]] => {
    const [, table, what] = /^([^=]+)=([^=]+)$/.exec(rule.trim()) ?? [];
    if (table === undefined || what === undefined) {
      throw new UsageError(`--resolve ${rule} is no rule.`, { remedy: 'Write table=shard or table=renumber.' });
    }
    return [table, what === 'renumber' ? 'renumber' : { prefer: what }];
  });
  return Object.fromEntries(read);
}
