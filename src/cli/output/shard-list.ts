import { Listr, type ListrTaskWrapper } from 'listr2';
import { MAX_SHARDS_LISTED } from './names';
import type { Output } from './output';

/** What happens on the shards, as it happens. */
export interface ShardList {
  begin(shard: string): void;
  /** @param part From 0 to 1. */
  progress(shard: string, part: number, text: string): void;
  done(shard: string, text: string): void;
  failed(shard: string, text: string): void;
  /** What was not begun by then will not be. */
  stop(): void;
  close(): Promise<void>;
}

const BAR_WIDTH = 20;
export function bar(part: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * BAR_WIDTH);
  return `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)} ${String(Math.floor(part * 100)).padStart(3)}%`;
}

/**
 * A live list with a bar for each shard where a person looks, and elsewhere a line for each that is through. Of many, a line for
 * each tenth of them, and one for each that failed.
 */
export function shardList(out: Output, shards: readonly string[]): ShardList {
  if (out.isTerminal && shards.length > 0 && shards.length <= MAX_SHARDS_LISTED) return new LiveList(shards);
  const width = Math.max(...shards.map((shard) => shard.length), 0);
  const tell = (state: string, shard: string, text: string) =>
    out.line(`${state.padEnd(6)}  ${shard.padEnd(width)}  ${text}`.trimEnd());
  let through = 0;
  const count = () => {
    const tenth = Math.floor((++through * 10) / shards.length);
    if (tenth > Math.floor(((through - 1) * 10) / shards.length)) {
      out.line(`${through.toLocaleString('en')} of ${shards.length.toLocaleString('en')} shards are done`);
    }
  };
  return {
    begin: () => {},
    progress: () => {},
    done: (shard, text) => (shards.length > MAX_SHARDS_LISTED ? count() : tell('done', shard, text)),
    failed: (shard, text) => tell('failed', shard, text),
    stop: () => out.note('Stopping after the shards that are under way. A second signal ends it at once.'),
    close: async () => {},
  };
}

type Task = ListrTaskWrapper<unknown, never, never>;

interface Row {
  task: Task | undefined;
  isBegun: boolean;
  isOpen: boolean;
  readonly ended: Promise<void>;
  readonly end: (error?: Error) => void;
}

class LiveList implements ShardList {
  readonly #rows = new Map<string, Row>();
  readonly #width: number;
  readonly #list: Promise<unknown>;

  constructor(shards: readonly string[]) {
    this.#width = Math.max(...shards.map((shard) => shard.length));
    for (const shard of shards) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#rows.set(shard, {
        task: undefined,
        isBegun: false,
        isOpen: true,
        ended: promise,
        end: (error) => (error ? reject(error) : resolve()),
      });
    }
    const tasks = [...this.#rows].map(([shard, row]) => ({
      title: this.#title(shard, bar(0), ''),
      task: async (_: unknown, task: unknown) => {
        row.task = task as Task;
        await row.ended;
      },
    }));
    const options = {
      concurrent: true,
      exitOnError: false,
      // It would end the process at once.
      registerSignalListeners: false,
      rendererOptions: { collapseErrors: true, showErrorMessage: false },
    };
    this.#list = new Listr(tasks, options).run();
  }

  begin(shard: string): void {
    const row = this.#rows.get(shard);
    if (row) row.isBegun = true;
    this.progress(shard, 0, 'running');
  }

  progress(shard: string, part: number, text: string): void {
    const task = this.#rows.get(shard)?.task;
    if (task) task.title = this.#title(shard, bar(part), text);
  }

  done(shard: string, text: string): void {
    this.progress(shard, 1, text);
    this.#end(shard);
  }

  failed(shard: string, text: string): void {
    this.progress(shard, 0, text);
    this.#end(shard, new Error(text));
  }

  stop(): void {
    for (const [shard, { isBegun }] of this.#rows) if (!isBegun) this.#skip(shard);
  }

  async close(): Promise<void> {
    for (const shard of this.#rows.keys()) this.#skip(shard);
    await this.#list;
  }

  #skip(shard: string): void {
    const row = this.#rows.get(shard);
    if (!row?.isOpen) return;
    row.task?.skip(this.#title(shard, 'untouched'));
    this.#end(shard);
  }

  #end(shard: string, error?: Error): void {
    const row = this.#rows.get(shard);
    if (!row) return;
    row.isOpen = false;
    row.end(error);
  }

  #title(shard: string, ...rest: string[]): string {
    return [shard.padEnd(this.#width), ...rest].filter((part) => part !== '').join('  ');
  }
}
