import type { Fleet } from './fleet/fleet';
import type { Output } from './output/output';
import type { Project } from './project/project';

/** What was typed: each option under its camel-cased name. */
export type Options = Readonly<Record<string, string | boolean | undefined>>;

/** What a command can use. Reading and opening happen when first asked for. */
export interface Context {
  readonly out: Output;
  readonly cwd: string;
  readonly options: Options;
  /**
   * Aborted when the user wants the command to end, which it then has to do soon: as long as it has not asked for this, it is
   * ended at once.
   */
  heedStop(): AbortSignal;
  project(): Promise<Project>;
  /** `joining`: also with this database, and with no other one that is configured and no part of the cluster yet. */
  fleet(settings?: { joining?: string }): Promise<Fleet>;
}

export interface Outcome {
  /** What `--json` prints. */
  readonly result: unknown;
  /** Something was found that has to be looked after, or has failed: the exit code is 1. */
  readonly failed?: boolean;
}

export interface CliCommand {
  readonly name: string;
  readonly summary: string;
  /** What has to be known before it is used. */
  readonly detail?: string;
  /** As `commander` writes them: `<shard>`, `[key]`. */
  readonly arguments?: readonly (readonly [syntax: string, description: string])[];
  readonly options?: readonly (readonly [flags: string, description: string])[];
  readonly examples: readonly (readonly [command: string, what: string])[];
  /** It changes databases, so it has `--dry-run`. */
  readonly changes?: boolean;
  /** It does not ask any database. */
  readonly offline?: boolean;
  /** What comes after `--`, or that it does not know, is passed on. */
  readonly passesOn?: boolean;
  run(context: Context, args: readonly string[]): Promise<Outcome>;
}
