import { createLRU } from 'lru.min';
import type { Layout } from '../layout/layout';
import type { Plan } from '../plan/plan';
import { planStatement } from '../plan/plan-statement';

/** How many SQL texts are remembered. An application has a few hundred; texts with literals in them come and go. */
const MAX_PLANS = 1000;
/** Longer texts (bulk inserts) are planned each time: a cache full of them would be many megabytes. */
const MAX_CACHED_LENGTH = 10_000;

/** Plans by SQL text, and the layout of the tables that they depend on. One per cluster and configuration in an isolate. */
export class Planner {
  readonly #plans = createLRU<string, Plan>({ max: MAX_PLANS });

  constructor(readonly layout: Layout) {}

  /** @throws TablesNeeded when the database has to be asked for tables first. */
  plan(sql: string): Plan {
    const known = this.#plans.get(sql);
    if (known) return known;
    const plan = planStatement(sql, this.layout);
    if (sql.length <= MAX_CACHED_LENGTH) this.#plans.set(sql, plan);
    return plan;
  }

  /** Forgets the plans alone: one of them was made on a wrong assumption. */
  clear(): void {
    this.#plans.clear();
  }

  /** Forgets plans and shapes: a schema change may have made them untrue. */
  forget(): void {
    this.#plans.clear();
    this.layout.forget();
  }
}
