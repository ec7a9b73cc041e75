import { InterceptedD1 } from './intercepted-d1';
import type { Bindings } from './isolates';

/**
 * What happens at one call of an isolate to the world.
 *
 * - `die before`, `die after`: it never runs again, so that its later calls fail too; the call has not been made, or it has
 * - `stall before`: it sleeps, and makes the call when it is told to wake up, as if nothing had happened meanwhile
 * - `lose answer`: the call has been made, its answer is lost on the way, and the isolate lives on
 */
export type Accident = 'die before' | 'die after' | 'stall before' | 'lose answer';
export const ACCIDENTS: readonly Accident[] = ['die before', 'die after', 'stall before', 'lose answer'];

/** The bindings of an isolate that meets with an accident at one of its calls. */
export class Mortal {
  /** The calls that it has made: databases and the SQL of a batch, or the operation of the coordinator. */
  readonly calls: string[] = [];
  readonly config: Bindings;
  /** Resolves when it has died or fallen asleep. */
  readonly stopped: Promise<void>;
  #dead = false;
  #at: number | string | undefined;
  #accident: Accident = 'die before';
  #stop = () => {};
  #wake = () => {};
  readonly #woken: Promise<void>;

  constructor(bindings: Bindings) {
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
    this.#woken = new Promise((resolve) => {
      this.#wake = resolve;
    });
    const { coordinator } = bindings;
    this.config = {
      ...bindings,
      shards: Object.fromEntries(
        Object.entries(bindings.shards).map(([name, database]) => [
          name,
          new InterceptedD1(database, (call, run) =>
            this.#through(`${name}: ${call.statements.map(({ sql }) => sql.slice(0, 60)).join(' | ')}`, run),
          ),
        ]),
      ),
      ...(coordinator
        ? {
            coordinator: {
              idFromName: (name) => coordinator.idFromName(name),
              get: (id) => {
                const stub = coordinator.get(id) as { call(name: string, args: unknown[]): Promise<unknown> };
                return {
                  call: (name: string, args: unknown[]) => this.#through(name, async () => stub.call(name, args)),
                };
              },
            },
          }
        : {}),
    };
  }

  /** From now on: the accident happens at the call of this number, counted from here, or at the first that contains a text. */
  dooms(at: number | string | undefined, accident: Accident = 'die before'): void {
    this.calls.length = 0;
    this.#at = at;
    this.#accident = accident;
  }

  wake(): void {
    this.#wake();
  }

  async #through<T>(what: string, run: () => Promise<T>): Promise<T> {
    const at = this.calls.push(what) - 1;
    const isIt = typeof this.#at === 'string' ? !this.#dead && what.includes(this.#at) : at === this.#at;
    if (!isIt) {
      if (this.#dead) throw new Error('This isolate is dead');
      return run();
    }
    if (this.#accident.endsWith('before')) {
      await this.#halt();
      return run();
    }
    if (this.#accident === 'lose answer') {
      await run();
      throw new Error('Network connection lost.');
    }
    try {
      return await run();
    } finally {
      await this.#halt();
    }
  }

  async #halt(): Promise<void> {
    this.#stop();
    if (this.#accident.startsWith('stall')) return this.#woken;
    this.#dead = true;
    throw new Error('This isolate is dead');
  }
}
