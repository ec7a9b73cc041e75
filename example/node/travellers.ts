import { cityRows } from './dataset.ts';

/** People and visits for the demo: made up, but the same each time. */
export interface Traveller {
  id: string;
  name: string;
  /** Latest first, as the example lists them. */
  visits: { cityId: number; note: string; visitedAt: string }[];
}

const NAMES = ['Ada', 'Blaise', 'Chandra', 'Dorothy', 'Edsger', 'Fatima', 'Grace', 'Hedy', 'Ibn', 'Joan', 'Kō', 'Lin'];
const VISITS_EACH = 7;
const FIRST_DAY = Date.UTC(2026, 0, 1);
const DAY = 24 * 60 * 60 * 1000;

export const travellers: Traveller[] = NAMES.map((name, person) => ({
  id: name.toLowerCase(),
  name,
  visits: Array.from({ length: VISITS_EACH }, (_, trip) => ({
    // A prime step through the cities: far apart, never the same, and on all shards.
    cityId: cityRows[((person * VISITS_EACH + trip) * 1609) % cityRows.length]?.id ?? 0,
    note: `Trip ${trip + 1} of “${name}”${' 🧳'.repeat(trip)}`,
    visitedAt: new Date(FIRST_DAY + (VISITS_EACH - trip) * DAY + person).toISOString(),
  })),
}));
