import { createLRU } from 'lru.min';
import type { Layout } from '../layout/layout';
import type { Plan } from '../plan/plan';
import { planStatement } from '../plan/plan-statement';

/** How many SQL texts are remembered. An application has a few hundred; texts with literals in them come and go. */
const MAX_PLANS = 1000;
/** Longer texts (bulk inserts) are planned each time: a cache full of them would be many megabytes. */
const MAX_CACHED_LENGTH = 10_000;

/** Plans by SQL text. One per cluster: a plan depends on the layout of its tables. */
export class PlanCache {
  readonly #plans = createLRU<string, Plan>({ max: MAX_PLANS });

  /** @throws TablesNeeded when the database has to be asked for tables first. */
  get(sql: string, layout: Layout): Plan {
    const known = this.#plans.get(sql);
    if (known) return known;
    const plan = planStatement(sql, layout);
    if (sql.length <= MAX_CACHED_LENGTH) this.#plans.set(sql, plan);
    return plan;
  }

  clear(): void {
    this.#plans.clear();
  }
}
