/**
 * The built command line against many shards over HTTP: how many requests each command takes, whether it keeps to the rate
 * limit of Cloudflare's API, how long it takes, and how its memory grows with the shards. Time is scaled down: a window of
 * five minutes is one of three seconds, for the server and the command line alike.
 *
 *     npx tsup --config tsup.cli.config.ts && npm run bench:fleet -- [--shards=1000] [--few=100] [--scale=100]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Files, Workspace } from '../test/cli/support/workspace.ts';
import type { Asked, Started } from './fleet-server.ts';
import { table } from './report.ts';

const { values: options } = parseArgs({
  options: {
    shards: { type: 'string', default: '1000' },
    few: { type: 'string', default: '100' },
    scale: { type: 'string', default: '100' },
    output: { type: 'boolean', default: false },
  },
});
const scale = Number(options.scale);
/** https://developers.cloudflare.com/fundamentals/api/reference/limits/ */
const LIMIT = { requests: 1200, windowMs: 300_000 };
/** As `DEFAULT_PACE` of the command line. */
const PACE = { requests: 290, windowMs: 76_000 };
/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, on every common architecture. */
const TICKS_A_SECOND = 100;

/** Of which a command takes half when there is one shard: most of it is wrangler. */
const HEAP_MB = 200;

/** As large as the schema of an application: 40 tables of 12 columns, each with an index. */
const FIRST = Array.from({ length: 40 }, (_, i) => {
  const columns = Array.from({ length: 10 }, (_, column) => `\`column_${column}\` text`).join(', ');
  return [
    `CREATE TABLE \`table_${i}\` (\`id\` text PRIMARY KEY NOT NULL, \`created_at\` integer NOT NULL, ${columns});`,
    `CREATE INDEX \`table_${i}_created\` ON \`table_${i}\` (\`created_at\`);`,
  ].join('\n--> statement-breakpoint\n');
}).join('\n--> statement-breakpoint\n');
const FILES: Files = [
  ['0000_tables', FIRST],
  ['0001_visits', 'ALTER TABLE `table_0` ADD `visits` integer DEFAULT 0 NOT NULL;'],
];

const COMMANDS: readonly (readonly [name: string, files: Files, args: readonly string[]])[] = [
  ['first contact, migrate', FILES.slice(0, 1), ['migrate']],
  ['check', FILES.slice(0, 1), ['check']],
  ['migrate again', FILES, ['migrate']],
  ['status', FILES, ['status']],
];

interface Measured extends Asked {
  readonly command: string;
  readonly seconds: number;
  readonly peakKb: number;
  readonly cpuSeconds: number;
  readonly lines: number;
}

const few = await measure(Number(options.few));
const many = await measure(Number(options.shards));

console.log(`${options.shards} shards; the limit is ${LIMIT.requests} requests in ${LIMIT.windowMs / scale} ms`);
console.log(
  table(
    ['', 'requests', 'a shard', '429', 'most in a window', 'measured', 'processor', 'at the real rate', 'lines'],
    many.map(({ command, requests, refused, mostInWindow, seconds, cpuSeconds, lines }) => [
      command,
      requests.toLocaleString('en'),
      (requests / Number(options.shards)).toFixed(2),
      String(refused),
      String(mostInWindow),
      `${seconds.toFixed(1)} s`,
      `${cpuSeconds.toFixed(1)} s`,
      `${(pacedSeconds(requests) / 60).toFixed(1)} min`,
      String(lines),
    ]),
  ),
);
console.log();
console.log(
  table(
    [
      `peak memory of the process, its heap at most ${HEAP_MB} MB`,
      `${options.few} shards`,
      `${options.shards} shards`,
      'growth a shard',
    ],
    many.map(({ command, peakKb }, i) => {
      const less = few[i]?.peakKb ?? 0;
      const growth = (peakKb - less) / (Number(options.shards) - Number(options.few));
      return [command, megabytes(less), megabytes(peakKb), `${growth.toFixed(0)} kB`];
    }),
  ),
);
if (many.some(({ refused, mostInWindow }) => refused > 0 || mostInWindow > LIMIT.requests)) process.exitCode = 1;

async function measure(shards: number): Promise<Measured[]> {
  const windowMs = LIMIT.windowMs / scale;
  const server = fork(join(import.meta.dirname, 'fleet-server.ts'), [shards, LIMIT.requests, windowMs].map(String));
  const [{ url, accountId, apiToken, ids }] = (await once(server, 'message')) as [Started];
  const workspace = new Workspace({ shards, ids });
  const env = {
    CLOUDFLARE_ACCOUNT_ID: accountId,
    CLOUDFLARE_API_TOKEN: apiToken,
    CLOUDFLARE_API_BASE_URL: url,
    // Without it, Node lets garbage lie for as long as there is room.
    NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`,
    SHARDED_API_RATE: `${PACE.requests}/${PACE.windowMs / 1000 / scale}`,
  };
  const measured: Measured[] = [];
  try {
    for (const [command, files, args] of COMMANDS) {
      workspace.migrations(files);
      const began = performance.now();
      const { child, ended } = workspace.start([...args, '--remote'], env);
      const process = watch(child.pid);
      const { code, stdout, stderr } = await ended;
      const seconds = (performance.now() - began) / 1000;
      if (options.output) console.log(stdout, stderr);
      if (code !== 0) throw new Error(`${command} ended with ${code}:\n${stdout.slice(0, 2000)}\n${stderr}`);
      server.send('what was asked');
      const [asked] = (await once(server, 'message')) as [Asked];
      measured.push({ ...asked, ...process.stop(), command, seconds, lines: stdout.split('\n').length - 1 });
    }
  } finally {
    workspace[Symbol.dispose]();
    server.disconnect();
  }
  return measured;
}

/** What the pace alone makes of so many requests. */
function pacedSeconds(requests: number): number {
  return (Math.max(0, Math.ceil(requests / PACE.requests) - 1) * PACE.windowMs) / 1000;
}

/** The most memory that a process had at a time, and its time on a processor, on Linux; 0 elsewhere. */
function watch(pid: number | undefined): { stop(): Pick<Measured, 'peakKb' | 'cpuSeconds'> } {
  let peakKb = 0;
  let cpuSeconds = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      // Both only grow, so that the last look has them.
      peakKb = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) || peakKb;
      cpuSeconds = (Number(stat[11]) + Number(stat[12])) / TICKS_A_SECOND || cpuSeconds;
    } catch {
      // It has ended.
    }
  }, 20);
  return {
    stop: () => {
      clearInterval(timer);
      return { peakKb, cpuSeconds };
    },
  };
}

function megabytes(kb: number): string {
  return `${(kb / 1000).toFixed(0)} MB`;
}
