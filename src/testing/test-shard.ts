import { type Fault, failingOn } from './fault';
import { chain, failing, type Latency, slowing } from './faulty-d1';
import { type D1Call, InterceptedD1, type Interceptor } from './intercepted-d1';

/** A fault at work. */
export interface InjectedFault {
  /** How many calls it has failed: a fault that was never met proves nothing. */
  readonly hits: number;
  /** Ends it. */
  remove(): void;
}

/** One shard of a test cluster: a real database between which and the router things go wrong when told to. */
export class TestShard<TShard extends string = string> {
  readonly #interceptors = new Set<Interceptor>();

  constructor(
    readonly name: TShard,
    /** The database itself, past faults, latency and the router: to look into it, or to put something wrong there. */
    readonly database: D1Database,
  ) {}

  /**
   * Fails statements, from now on until {@link TestShard.heal} or as often as `times` says.
   *
   * @example
   * // The row is written, and its answer is lost: an UnknownOutcomeError.
   * const fault = cluster.shards['shard-0'].fail({ on: /insert into "users"/, times: 1, when: 'after' });
   * expect(fault.hits).toBe(1);
   * @throws ConfigError for a number that makes no sense.
   */
  fail(fault: Fault): InjectedFault {
    let hits = 0;
    const failOn = failingOn(fault);
    const remove = this.#add(
      failing((sql, call) => {
        const error = failOn(sql, call);
        if (error) hits++;
        return error;
      }, fault.when),
    );
    return {
      get hits() {
        return hits;
      },
      remove,
    };
  }

  /** No call reaches it until it is healed. */
  down(): InjectedFault {
    return this.fail({});
  }

  /**
   * Makes every call take longer, in milliseconds.
   *
   * @example
   * cluster.shards['shard-1'].slow(50);
   * cluster.shards['shard-1'].slow(({ method }) => (method === 'batch' ? 200 : 0));
   */
  slow(latency: Latency): void {
    this.#add(slowing(latency));
  }

  /** Ends all faults and latency of this shard. */
  heal(): void {
    this.#interceptors.clear();
  }

  /** Its database as a router sees it: a new object each time, with the faults that the shard has now and later. */
  binding(onCall: (call: D1Call) => void): D1Database {
    return new InterceptedD1(this.database, (call, run) => {
      onCall(call);
      return chain([...this.#interceptors])(call, run);
    });
  }

  #add(interceptor: Interceptor): () => void {
    this.#interceptors.add(interceptor);
    return () => this.#interceptors.delete(interceptor);
  }
}
