import { Command, CommanderError, Option } from 'commander';
import { version } from '../../package.json';
import type { CliCommand, Options } from './command';
import { commands } from './commands';
import { createContext } from './context';
import { EXIT, errorAsJson, exitCodeOf } from './errors';
import { createOutput } from './output/output';
import type { Stop } from './stop';

const NAME = 'sharded-drizzle';

/** What every command that asks databases understands. */
const PLACE = [
  new Option('--local', 'the databases of wrangler dev on this machine (the default)'),
  new Option('--remote', "Cloudflare's databases; needs CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN (D1: Edit)"),
  new Option('--env <name>', "an environment of wrangler's configuration"),
  new Option(
    '--url <url>',
    'with --remote and a coordinator: where the Worker answers (or SHARDED_URL); needs SHARDED_SECRET',
  ),
  new Option('--persist-to <folder>', 'where wrangler keeps local databases (.wrangler/state)'),
  new Option('--concurrency <n>', 'shards at a time (6)'),
  new Option('--wait <seconds>', 'how long to wait for moves and for another run (10)'),
];
const FILES = [
  new Option('--config <file>', "wrangler's configuration (the nearest wrangler.json, .jsonc or .toml)"),
  new Option('--drizzle-config <file>', "drizzle-kit's configuration (drizzle.config.ts)"),
  new Option('--sharding <file>', 'what defineSharding() was given (sharded.config.ts)'),
];

/**
 * Runs the command line.
 *
 * @returns The exit code: 0 done, 1 something failed or was found, 2 the command line or the configuration is wrong, 3 it would
 * not have been safe and nothing was changed, 130 or 143 a signal has cut it short.
 */
export async function runCli(args: readonly string[], cwd: string, stop: Stop): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = new Command(NAME)
    .description('Drizzle over many D1 databases: migrations, moves and a look at the shards.')
    .version(version)
    .helpCommand(false)
    .showHelpAfterError(`(${NAME} <command> --help says more)`)
    .exitOverride();
  const wantsJson = wantsDocument(args);
  if (wantsJson) program.configureOutput({ writeErr: () => {} });
  for (const command of commands) {
    const own = define(program, command);
    own.action(async () => {
      exitCode = await execute(command, own.args, own.opts<Options>(), cwd, stop);
    });
  }
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // --help and --version end this way too; commander has said the rest.
    if (error.exitCode === 0) return EXIT.ok;
    const message = error.message.replace(/^error: /, '');
    const failure = { ok: false, exitCode: EXIT.usage, error: { code: 'USAGE', message } };
    createOutput(wantsJson).document(failure);
    return EXIT.usage;
  }
  return exitCode;
}

/** Before it is known what the arguments mean: what comes after `--` is no option. */
function wantsDocument(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes('--json');
}

function define(program: Command, command: CliCommand): Command {
  const own = program.command(command.name).summary(command.summary).exitOverride();
  // It is wrapped to the width of the terminal.
  own.description([command.summary, command.detail?.replaceAll('\n', ' ')].filter(Boolean).join('\n\n'));
  for (const [syntax, description] of command.arguments ?? []) own.argument(syntax, description);
  for (const [flags, description] of command.options ?? []) own.addOption(new Option(flags, description));
  if (command.changes) own.addOption(new Option('--dry-run', 'only show what would be done'));
  own.addOption(new Option('--json', 'print one JSON document instead of text'));
  for (const option of [...(command.offline ? [] : PLACE), ...FILES]) own.addOption(option);
  if (command.passesOn) own.allowUnknownOption().allowExcessArguments();
  const examples = command.examples.map(([line, what]) => `  npx ${NAME} ${line}\n      ${what}`);
  return own.addHelpText('after', `\nExamples:\n${examples.join('\n')}`);
}

async function execute(
  command: CliCommand,
  args: readonly string[],
  options: Options,
  cwd: string,
  stop: Stop,
): Promise<number> {
  const out = createOutput(options.json === true);
  const context = createContext(cwd, options, out, stop);
  try {
    const { result, failed = false } = await command.run(context, args);
    out.document({ ok: !failed, command: command.name, ...(result as object) });
    return failed ? (stop.exitCode ?? EXIT.failed) : EXIT.ok;
  } catch (error) {
    const exitCode = stop.exitCode ?? exitCodeOf(error);
    out.document({ ok: false, command: command.name, exitCode, error: errorAsJson(error) });
    out.note(`${command.name}: ${error instanceof Error ? error.message : String(error)}`);
    if (process.env.SHARDED_DEBUG && error instanceof Error) out.note(error.stack ?? '');
    return exitCode;
  } finally {
    await context.close();
  }
}
